// Puts the page together: facts, legend, one section for each group of scenarios, and everything again when the width, the
// colours or the chosen servers change.
const sections = [
  ['overview', 'The whole in one picture', 'How many times the processor time (or memory, or latency) of ringcast each server needs, as the geometric mean over the scenarios of a group. On the dashed line it needs as much; right of it ringcast needs less.'],
  ['echo', 'Echo', 'Each client sends a message and gets it back, the plainest request and answer. Left is better: less server CPU for each answer.'],
  ['fanout', 'Broadcast to a room', 'One member speaks and all others hear it. Left is better: less server CPU for each member that hears a message.'],
  ['growth', 'Cost as a room grows', 'The same broadcast of 64 bytes with more and more members, up to as many as one process may hold here. Lower is better; a flat line means that a large room costs no more for each member than a small one.'],
  ['chat', 'Chat and many rooms', 'Everybody speaks and hears all the others in the room. Left is better: less server CPU for each message heard.'],
  ['slow', 'With members that do not read', 'A tenth of the members never read what they are sent. Left is better: the others should not pay for them.'],
  ['handshake', 'Opening connections', 'Connect, upgrade to WebSocket, close. Left is better: less server CPU for each connection that comes and goes.'],
  ['tls', 'Encrypted (wss://)', 'The same work through TLS 1.3. Left is better: less server CPU for each message.'],
  ['deflate', 'Compressed (permessage-deflate)', 'The same work with compression agreed. Left is better: less server CPU for each message.'],
  ['latency', 'Latency at a fixed rate', 'Time from the moment a message was to be sent until it is received, at 10, 50 and 80 % of what the slower server can do. Left is better; p99 is what one message in a hundred exceeds.'],
  ['memory', 'Memory of idle connections', 'What each open connection costs the server while it is silent. Left is better: more connections fit.'],
  ['shards', 'Two cores instead of one', 'Messages a second with one shard and with two. Here right is better; with two cores the load generator takes part of the second one.'],
];

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// Under its heading a row need not say again what kind it is.
const shortTitle = (title) => title.replace(/^(echo|broadcast|memory of an idle|latency of) /, '').replace(/^(tls|deflate) /, '');
const withLabel = (summary, entry) => shortTitle(summary.title) + (entry.label ? `, ${entry.label}` : '');
const range = (figure) => `${number(figure.min)} – ${number(figure.max)}`;

function tipTable(title, rows) {
  const box = element('div', {}, element('b', {}, title));
  const table = element('table');
  for (const [server, figure, extra] of rows)
    table.append(element('tr', {}, element('td', { style: `color:var(--${server})` }, server),
      element('td', { class: 'n' }, number(figure.median)), element('td', {}, `(${range(figure)})`), element('td', {}, extra ?? '')));
  box.append(table);
  return box;
}

function rowsOf(summaries) {
  return summaries.flatMap((summary) => summary.figures.map((entry) => ({ label: withLabel(summary, entry), marks: entry.servers, summary, entry })));
}

// The geometric mean of peer / ours over the rows of a group, with its lowest and highest row.
function overviewRows() {
  const rows = [];
  for (const [group, title] of sections) {
    const entries = report.summaries.filter((summary) => summary.group === group && group !== 'shards').flatMap((summary) => summary.figures);
    const marks = {};
    for (const server of report.servers) {
      const ratios = entries.flatMap((entry) => entry.goals.filter((goal) => goal.peer === server && goal.ratio).map((goal) => 1 / goal.ratio));
      if (!ratios.length) continue;
      const mean = Math.exp(ratios.reduce((sum, ratio) => sum + Math.log(ratio), 0) / ratios.length);
      marks[server] = { median: mean, min: Math.min(...ratios), max: Math.max(...ratios), rows: ratios.length };
    }
    if (Object.keys(marks).length) rows.push({ label: title, marks });
  }
  return rows;
}

function figuresTable(summaries) {
  const perSecond = (beside) => beside?.handshakes_per_second ?? beside?.deliveries_per_second;
  const head = element('tr', {}, ...['scenario', 'server', 'median', 'range', 'runs', 'a second', 'against ringcast'].map((words, i) =>
    element('th', [2, 4, 5, 6].includes(i) ? { class: 'n' } : {}, words)));
  const table = element('table', { class: 'figures' }, element('thead', {}, head));
  const body = element('tbody');
  for (const { label, summary, entry } of rowsOf(summaries)) {
    let first = true;
    for (const [server, figure] of Object.entries(entry.servers)) {
      const goal = entry.goals.find((one) => one.peer === server);
      const speed = perSecond(summary.beside?.[server]);
      body.append(element('tr', {}, element('td', { class: 'what' }, first ? label : ''), element('td', { style: `color:var(--${server})` }, server),
        element('td', { class: 'n' }, number(figure.median)), element('td', { class: 'range' }, range(figure)), element('td', { class: 'n' }, String(figure.runs)),
        element('td', { class: 'n' }, speed && summary.kind === 'cpu' ? number(speed) : ''), element('td', { class: 'n' }, goal ? `${number(1 / goal.ratio)}×` : '')));
      first = false;
    }
    for (const error of new Set(first ? summary.errors : []))
      body.append(element('tr', {}, element('td', { class: 'what' }, label), element('td', { class: 'worse', colspan: 6 }, `not measured: ${error}`)));
  }
  table.append(body);
  return element('details', {}, element('summary', {}, 'The numbers'), element('div', { class: 'scroll' }, table));
}

function sectionParts(id) {
  if (id === 'overview') {
    const rows = overviewRows();
    return rows.length ? { draw: (place) => rowChart(place, { rows, servers: report.servers, unit: 'times what ringcast needs', line: 1,
      tip: (row) => tipTable(row.label, report.servers.filter((server) => row.marks[server]).map((server) => [server, row.marks[server], `over ${row.marks[server].rows} rows`])) }) } : null;
  }
  if (id === 'growth') {
    const members = report.summaries.filter((summary) => summary.x > 0 && summary.figures[0] && Object.keys(summary.figures[0].servers).length);
    if (members.length < 3) return null;
    const curves = {};
    for (const summary of members)
      for (const [server, figure] of Object.entries(summary.figures[0].servers)) (curves[server] ??= []).push([summary.x, figure]);
    for (const curve of Object.values(curves)) curve.sort(([a], [b]) => a - b);
    return { draw: (place) => lineChart(place, { curves, servers: report.servers, unit: report.units.cpu, xUnit: 'members of the room',
      tip: (x, figures) => tipTable(`${number(x)} members`, figures) }) };
  }
  const summaries = report.summaries.filter((summary) => summary.group === id);
  const rows = rowsOf(summaries).filter((row) => Object.keys(row.marks).length);
  if (!rows.length && !summaries.some((summary) => summary.errors.length)) return null;
  const words = [...new Set(summaries.map((summary) => summary.remark).filter(Boolean))];
  return { summaries, words, draw: (place) => rows.length && rowChart(place, { rows, servers: report.servers, unit: report.units[summaries[0].kind],
    tip: (row) => tipTable(row.label, report.servers.filter((server) => row.marks[server]).map((server) => [server, row.marks[server]])) }) };
}

const charts = [];

function build() {
  document.getElementById('title').textContent = `What a WebSocket message costs: ringcast beside other servers`;
  const { machine, settings, versions } = report;
  const facts = [
    ['Measured', `${settings.date}, ${settings.runs} slices of ${settings.seconds} s in ${Math.round(settings.took_s / 60)} minutes, servers in turn`],
    ['Machine', `${machine.cpu}, ${machine.cores} cores, ${Math.round(machine.memory_mib / 1024)} GiB; server on core ${settings.server_cpu}, load generator on core ${settings.generator_cpu}`],
    ['Kernel', machine.kernel],
    ['ringcast', `commit ${machine.commit}, ${machine.compiler}, ${machine.build_type} build`],
    ['Servers', Object.entries(versions).map(([name, version]) => (name === 'epoll' ? 'epoll (the barest loop there is, without a protocol)' : version.startsWith(name) ? version : `${name} ${version}`)).join('; ')],
    ['Again', settings.command],
  ];
  if (settings.left_out?.length) facts.push(['Left out', `${settings.left_out.join(', ')} (no time was left)`]);
  const list = document.getElementById('facts');
  for (const [name, words] of facts) list.append(element('dt', {}, name), element('dd', {}, name === 'Again' ? element('code', {}, words) : words));
  const notice = document.getElementById('noise-words');
  notice.textContent = report.noiseWords;
  notice.classList.toggle('noisy', report.noisy);
  const place = document.getElementById('sections');
  for (const [id, title, words] of sections) {
    const parts = sectionParts(id);
    if (!parts) continue;
    const chart = element('div', { class: 'chart', role: 'img', 'aria-label': `Chart: ${title}. ${words}` });
    const card = element('div', { class: 'card' }, chart);
    if (parts.summaries) card.append(figuresTable(parts.summaries));
    const section = element('section', { id: `group-${id}` }, element('h2', {}, title), element('p', {}, words), card);
    for (const remark of parts.words ?? []) section.append(element('p', { class: 'remark' }, remark[0].toUpperCase() + remark.slice(1) + '.'));
    place.append(section);
    charts.push([chart, parts.draw]);
  }
  leadsTable();
  const noise = document.getElementById('noise-chart');
  if (report.noise.length > 1) charts.push([noise, (where) => noiseChart(where, report.noise, 0.15)]);
  else document.getElementById('noise').hidden = true;
  document.getElementById('footer').append(`Every figure, with each single run, is in raw.json.gz beside this page. ${report.licence ? `Charts: ${report.licence}.` : ''}`);
}

function leadsTable() {
  const place = document.getElementById('leads');
  if (!report.leads.length) {
    place.append(element('p', {}, 'In no row of this run is a peer ahead by more than the noise.'));
    return;
  }
  const table = element('table', { class: 'figures' }, element('thead', {}, element('tr', {}, element('th', {}, 'scenario'), element('th', {}, 'ahead'), element('th', { class: 'n' }, 'ringcast needs'))));
  const body = element('tbody');
  for (const row of report.leads)
    body.append(element('tr', {}, element('td', { class: 'what' }, row.title + (row.label ? `, ${row.label}` : '')), element('td', { style: `color:var(--${row.peer})` }, row.peer), element('td', { class: 'n' }, `${number(row.ratio)}×`)));
  table.append(body);
  place.append(element('p', {}, 'Rows in which another server needs less by more than the noise.'), element('div', { class: 'scroll card' }, table));
}

function legend() {
  const place = document.getElementById('legend');
  place.replaceChildren(...report.servers.map((server) => {
    const path = [];
    const pen = { moveTo: (x, y) => path.push(`M${x} ${y}`), lineTo: (x, y) => path.push(`L${x} ${y}`), arc: (x, y, r) => path.push(`M${x - r} ${y}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0`) };
    outline(pen, shapes[server] ?? 'circle', 7, 7, 5);
    const icon = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
    icon.setAttribute('viewBox', '0 0 14 14');
    icon.setAttribute('aria-hidden', 'true');
    const shape = document.createElementNS('http://www.w3.org/2000/svg', 'path');
    shape.setAttribute('d', path.join(''));
    shape.setAttribute('fill', serverColour(server));
    icon.append(shape);
    const button = element('button', { type: 'button', 'aria-pressed': String(!hidden.has(server)) }, icon, server);
    button.addEventListener('click', () => {
      if (!hidden.delete(server)) hidden.add(server);
      paint();
    });
    return button;
  }));
}

function paint() {
  legend();
  if (typeof uPlot === 'undefined') {
    for (const [place] of charts) place.replaceChildren('This page was made without its chart library; the numbers are below and in table.md.');
    for (const details of document.querySelectorAll('details')) details.open = true;
    return;
  }
  for (const [place, draw] of charts) {
    place.style.minHeight = `${place.offsetHeight}px`; // So that the page does not jump while a chart is drawn again.
    place.replaceChildren();
    draw(place);
    place.style.minHeight = '';
  }
}

build();
paint();
let width = document.documentElement.clientWidth;
addEventListener('resize', () => {
  if (width === document.documentElement.clientWidth) return;
  width = document.documentElement.clientWidth;
  paint();
});
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', paint);
