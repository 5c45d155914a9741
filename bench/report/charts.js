// Three kinds of chart over uPlot: rows of marks with their ranges, lines over members, and the noise over time.
const shapes = { ringcast: 'circle', 'ringcast-2': 'circle', epoll: 'diamond', bun: 'square', beast: 'triangle', ws: 'down', nginx: 'cross', nats: 'plus' };
const hidden = new Set();

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim() || '#888888';
}
function serverColour(server) { return colour(server); }

function number(value) {
  if (value >= 1000) return Math.round(value).toLocaleString('en');
  return String(Number(value.toPrecision(3)));
}

// The outline of a server's mark around (x, y); `to` is a canvas context or anything with the same four calls.
function outline(to, shape, x, y, r) {
  const line = (...points) => points.forEach(([dx, dy], i) => (i ? to.lineTo(x + dx * r, y + dy * r) : to.moveTo(x + dx * r, y + dy * r)));
  if (shape === 'circle') to.arc(x, y, r, 0, 2 * Math.PI);
  else if (shape === 'square') line([-.85, -.85], [.85, -.85], [.85, .85], [-.85, .85], [-.85, -.85]);
  else if (shape === 'triangle') line([0, -1.1], [1.05, .8], [-1.05, .8], [0, -1.1]);
  else if (shape === 'down') line([0, 1.1], [1.05, -.8], [-1.05, -.8], [0, 1.1]);
  else if (shape === 'diamond') line([0, -1.2], [1.1, 0], [0, 1.2], [-1.1, 0], [0, -1.2]);
  else {
    const arms = [[-1, -.32], [-.32, -.32], [-.32, -1], [.32, -1], [.32, -.32], [1, -.32], [1, .32], [.32, .32], [.32, 1], [-.32, 1], [-.32, .32], [-1, .32], [-1, -.32]];
    const turn = shape === 'cross' ? Math.SQRT1_2 : 0;
    line(...arms.map(([a, b]) => (turn ? [(a - b) * turn * 1.15, (a + b) * turn * 1.15] : [a * 1.15, b * 1.15])));
  }
}

function drawMark(context, server, x, y, r) {
  context.beginPath();
  outline(context, shapes[server] ?? 'circle', x, y, r);
  context.fillStyle = serverColour(server);
  context.fill();
  context.lineWidth = r / 4;
  context.strokeStyle = colour('panel');
  context.stroke();
}

const dpr = () => uPlot.pxRatio || devicePixelRatio || 1;

// Steps 1, 2, 5 of each power of ten that lie within the range, fewer where there are many.
function logSplits(min, max) {
  const decades = Math.log10(max / min);
  const steps = decades > 2.5 ? [1] : decades > 1.2 ? [1, 3] : [1, 2, 3, 5, 7];
  const splits = [];
  for (let power = Math.floor(Math.log10(min)); power <= Math.ceil(Math.log10(max)); ++power)
    for (const step of steps) {
      const value = Number((step * 10 ** power).toPrecision(2));
      if (value >= min && value <= max) splits.push(value);
    }
  return splits;
}

// Words broken so that no line is wider than `width` in the context's font.
function wrap(context, text, width) {
  const lines = [''];
  for (const word of text.split(' ')) {
    const longer = lines.at(-1) ? `${lines.at(-1)} ${word}` : word;
    if (lines.at(-1) && context.measureText(longer).width > width) lines.push(word);
    else lines[lines.length - 1] = longer;
  }
  return lines;
}

const font = (size) => `${size * dpr()}px system-ui, sans-serif`;

// rows: [{ label, marks: { server: { median, min, max } } }]. `line`: a value that gets a line of its own, such as 1.
function rowChart(place, { rows, servers, unit, line, tip }) {
  const shown = servers.filter((server) => !hidden.has(server) && rows.some((row) => row.marks[server]));
  const narrow = place.clientWidth < 620;
  const labelWidth = narrow ? 0 : 270;
  const present = rows.map((row) => shown.filter((server) => row.marks[server]));
  const heights = present.map((marks) => Math.max(narrow ? 40 : 32, (narrow ? 28 : 18) + marks.length * 9));
  const tops = heights.map((_, i) => heights.slice(0, i).reduce((sum, height) => sum + height, 0));
  const total = tops.at(-1) + heights.at(-1);
  const values = rows.flatMap((row) => shown.flatMap((server) => (row.marks[server] ? [row.marks[server].min, row.marks[server].max] : [])));
  if (line) values.push(line);
  if (!values.length) { place.replaceChildren('Every server of this chart is hidden.'); return null; }
  const low = Math.min(...values.filter((value) => value > 0)) / 1.25;
  const high = Math.max(...values) * 1.25;

  function draw(u) {
    const { ctx } = u;
    const ratio = dpr();
    const { left, top, width, height } = u.bbox;
    ctx.save();
    rows.forEach((row, index) => {
      const from = top + tops[index] * ratio;
      const rowHeight = heights[index];
      if (index % 2 === 0) { // Bands let the eye follow a row to its name.
        ctx.globalCompositeOperation = 'destination-over';
        ctx.fillStyle = colour('band');
        ctx.fillRect(left - labelWidth * ratio, from, width + labelWidth * ratio, rowHeight * ratio);
        ctx.globalCompositeOperation = 'source-over';
      }
      ctx.fillStyle = colour('ink');
      ctx.font = font(narrow ? 12 : 12.5);
      ctx.textBaseline = 'middle';
      if (narrow) {
        ctx.textAlign = 'left';
        ctx.fillText(row.label, left + 4 * ratio, from + 12 * ratio, width - 6 * ratio);
      } else {
        ctx.textAlign = 'right';
        const lines = wrap(ctx, row.label, (labelWidth - 18) * ratio);
        lines.forEach((words, i) => ctx.fillText(words, left - 10 * ratio, from + (rowHeight / 2 + (i - (lines.length - 1) / 2) * 15) * ratio));
      }
      const first = narrow ? 28 : (rowHeight - (present[index].length - 1) * 9) / 2;
      present[index].forEach((server, i) => {
        const mark = row.marks[server];
        const y = from + (first + i * 9) * ratio;
        const x = (value) => u.valToPos(value, 'y', true);
        ctx.strokeStyle = serverColour(server);
        ctx.globalAlpha = 0.55;
        ctx.lineWidth = 2 * ratio;
        ctx.beginPath();
        ctx.moveTo(x(Math.max(mark.min, low)), y);
        ctx.lineTo(x(mark.max), y);
        ctx.stroke();
        ctx.globalAlpha = 1;
        drawMark(ctx, server, x(mark.median), y, 4.6 * ratio);
      });
    });
    if (line) {
      ctx.setLineDash([4 * ratio, 4 * ratio]);
      ctx.strokeStyle = colour('ink');
      ctx.lineWidth = ratio;
      ctx.beginPath();
      ctx.moveTo(u.valToPos(line, 'y', true), top);
      ctx.lineTo(u.valToPos(line, 'y', true), top + height);
      ctx.stroke();
    }
    ctx.restore();
  }

  const axisHeight = 28;
  const unitHeight = 20;
  const chart = new uPlot({
    width: place.clientWidth, height: total + axisHeight + unitHeight + 6, padding: [6, 24, 0, narrow ? 4 : 0],
    scales: { x: { time: false, ori: 1, dir: -1, range: [-0.5, rows.length - 0.5] }, y: { ori: 0, dir: 1, distr: 3, range: [low, high] } },
    axes: [
      { scale: 'x', side: 3, size: labelWidth, splits: () => [], grid: { show: false }, ticks: { show: false } },
      { scale: 'y', side: 2, size: axisHeight, stroke: colour('soft'), font: '12px system-ui, sans-serif', label: unit, labelFont: '12px system-ui, sans-serif', labelSize: unitHeight,
        splits: () => logSplits(low, high), filter: (u, splits) => splits, values: (u, splits) => splits.map(number),
        grid: { stroke: colour('grid'), width: 1 }, ticks: { stroke: colour('line'), width: 1, size: 4 } },
    ],
    series: [{}, { show: true, paths: () => null, points: { show: false } }],
    cursor: { x: false, y: false, points: { show: false }, drag: { setScale: false, x: false, y: false } },
    hooks: { draw: [draw] },
  }, [rows.map((_, i) => i), rows.map(() => low)], place);
  hover(chart, place, (x, y) => {
    const index = tops.findLastIndex((start) => start <= y);
    return rows[index] ? tip(rows[index]) : null;
  });
  return chart;
}

// curves: { server: [[x, { median, min, max }], ...] }, both scales logarithmic.
function lineChart(place, { curves, servers, unit, xUnit, tip }) {
  const shown = servers.filter((server) => !hidden.has(server) && curves[server]);
  const xs = [...new Set(shown.flatMap((server) => curves[server].map(([x]) => x)))].sort((a, b) => a - b);
  if (!xs.length) { place.replaceChildren('Every server of this chart is hidden.'); return null; }
  const at = (server, x) => curves[server].find(([own]) => own === x)?.[1] ?? null;
  const data = [xs];
  const series = [{}];
  const bands = [];
  for (const server of shown) {
    const paint = serverColour(server);
    data.push(...['max', 'min', 'median'].map((key) => xs.map((x) => at(server, x)?.[key] ?? null)));
    const edge = { stroke: 'transparent', points: { show: false }, spanGaps: true };
    series.push(edge, edge, {
      stroke: paint, width: 2, spanGaps: true, points: { show: false }, // Its marks are drawn below, in the server's own shape.
    });
    bands.push({ series: [series.length - 3, series.length - 2], fill: `${paint}26` });
  }
  const all = data.slice(1).flat().filter((value) => value > 0);
  const low = Math.min(...all) / 1.3;
  const high = Math.max(...all) * 1.3;
  const chart = new uPlot({
    width: place.clientWidth, height: Math.min(380, Math.max(260, place.clientWidth * 0.42)), padding: [10, 18, 0, 0], bands, series,
    scales: { x: { time: false, distr: 3, range: [xs[0] / 1.2, xs.at(-1) * 1.25] }, y: { distr: 3, range: [low, high] } },
    axes: [
      { stroke: colour('soft'), size: 46, label: xUnit, labelSize: 20, font: '12px system-ui, sans-serif', labelFont: '12px system-ui, sans-serif', splits: () => xs, filter: (u, splits) => splits,
        values: (u, splits) => splits.map((x) => (x >= 1000 ? `${number(x / 1000)}k` : x)), grid: { stroke: colour('grid'), width: 1 }, ticks: { stroke: colour('line'), width: 1 } },
      { stroke: colour('soft'), size: 58, label: unit, labelSize: 20, font: '12px system-ui, sans-serif', labelFont: '12px system-ui, sans-serif', splits: () => logSplits(low, high), filter: (u, splits) => splits,
        values: (u, splits) => splits.map(number), grid: { stroke: colour('grid'), width: 1 }, ticks: { stroke: colour('line'), width: 1 } },
    ],
    cursor: { y: false, points: { show: false }, drag: { setScale: false, x: false, y: false } },
    hooks: { draw: [(u) => {
      for (const server of shown)
        for (const [x, figure] of curves[server]) drawMark(u.ctx, server, u.valToPos(x, 'x', true), u.valToPos(figure.median, 'y', true), 5 * dpr());
    }] },
  }, data, place);
  hover(chart, place, (x) => {
    const nearest = xs.reduce((best, own) => (Math.abs(chart.valToPos(own, 'x') - x) < Math.abs(chart.valToPos(best, 'x') - x) ? own : best));
    return tip(nearest, shown.filter((server) => at(server, nearest)).map((server) => [server, at(server, nearest)]));
  });
  return chart;
}

function noiseChart(place, noise, limit) {
  return new uPlot({
    width: place.clientWidth, height: 200, padding: [10, 14, 0, 0],
    scales: { x: { time: false }, y: { range: (u, min, max) => [0, Math.max(limit * 1.3, max * 1.05)] } },
    axes: [
      { stroke: colour('soft'), label: 'measured slice', labelSize: 18, size: 42, font: '12px system-ui, sans-serif', labelFont: '12px system-ui, sans-serif', grid: { stroke: colour('grid'), width: 1 }, ticks: { stroke: colour('line') } },
      { stroke: colour('soft'), size: 58, font: '12px system-ui, sans-serif', values: (u, splits) => splits.map((v) => `${Math.round(v * 100)} %`), grid: { stroke: colour('grid'), width: 1 }, ticks: { stroke: colour('line') } },
    ],
    series: [{}, { stroke: colour('accent'), width: 1, points: { show: false } }, { stroke: colour('warn'), width: 1, points: { show: false } }],
    legend: { show: false },
    cursor: { show: false },
    hooks: { draw: [(u) => {
      const y = u.valToPos(limit, 'y', true);
      u.ctx.save();
      u.ctx.setLineDash([6 * dpr(), 4 * dpr()]);
      u.ctx.strokeStyle = colour('ink');
      u.ctx.beginPath();
      u.ctx.moveTo(u.bbox.left, y);
      u.ctx.lineTo(u.bbox.left + u.bbox.width, y);
      u.ctx.stroke();
      u.ctx.restore();
    }] },
  }, [noise.map((_, i) => i + 1), noise.map(([foreign]) => foreign), noise.map(([, steal]) => steal)], place);
}

// Shows what `words(x, y)` returns, an element, near the pointer while it is over the plot.
function hover(chart, place, words) {
  const tip = document.createElement('div');
  tip.className = 'tip';
  tip.hidden = true;
  place.append(tip);
  const over = chart.over;
  const show = (event) => {
    const box = over.getBoundingClientRect();
    const content = words(event.clientX - box.left, event.clientY - box.top);
    tip.hidden = !content;
    if (!content) return;
    tip.replaceChildren(content);
    const home = place.getBoundingClientRect();
    const x = event.clientX - home.left;
    const left = x + 16 + tip.offsetWidth > home.width ? Math.max(0, x - tip.offsetWidth - 12) : x + 16;
    tip.style.left = `${left}px`;
    tip.style.top = `${event.clientY - home.top + 14}px`;
  };
  over.addEventListener('pointermove', show);
  over.addEventListener('pointerdown', show);
  over.addEventListener('pointerleave', () => { tip.hidden = true; });
}
