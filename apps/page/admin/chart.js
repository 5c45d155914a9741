// --- Sparklines ------------------------------------------------------------------------------------------------------------------

const SVG = 'http://www.w3.org/2000/svg';
const WIDTH = 120;
const HEIGHT = 30;

function makeSpark(hasSecond) {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('class', 'spark');
  svg.setAttribute('viewBox', `0 0 ${WIDTH} ${HEIGHT}`);
  svg.setAttribute('preserveAspectRatio', 'none');
  svg.setAttribute('aria-hidden', 'true');
  const paths = ['under', 'line', ...(hasSecond ? ['second'] : [])].map((name) => {
    const path = document.createElementNS(SVG, 'path');
    path.setAttribute('class', name);
    svg.append(path);
    return path;
  });
  return { svg, paths };
}

// Values are from the left to the right edge as soon as there are KEPT of them, until then from the right. Where there is none the line has a hole.
function drawSpark({ paths }, values, second) {
  const most = Math.max(1e-9, ...values.filter(Number.isFinite), ...(second ?? []).filter(Number.isFinite));
  const x = (i, of) => WIDTH - ((of.length - 1 - i) * WIDTH) / (KEPT - 1);
  const y = (value) => HEIGHT - 2 - (value / most) * (HEIGHT - 5);
  const line = (of) => {
    let path = '';
    let pen = 'M';
    of.forEach((value, i) => {
      if (!Number.isFinite(value)) {
        pen = 'M';
        return;
      }
      path += `${pen}${x(i, of).toFixed(1)} ${y(value).toFixed(1)}`;
      pen = 'L';
    });
    return path;
  };
  // Below the first line; a hole is at the bottom.
  const first = values.findIndex(Number.isFinite);
  const under = first < 0 ? '' : `M${x(first, values).toFixed(1)} ${HEIGHT}${values.slice(first)
    .map((value, i) => `L${x(i + first, values).toFixed(1)} ${(Number.isFinite(value) ? y(value) : HEIGHT).toFixed(1)}`).join('')}L${WIDTH} ${HEIGHT}Z`;
  paths[0].setAttribute('d', under);
  paths[1].setAttribute('d', line(values));
  paths[2]?.setAttribute('d', line(second));
}
