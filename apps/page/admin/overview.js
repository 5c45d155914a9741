// --- Tiles, shards, closes ---------------------------------------------------------------------------------------------------------

const TILES = [
  { title: 'Open connections', key: 'websockets', value: (p) => [inWords(p.websockets), ''],
    beside: (now) => `${people(sum(now.shards, 'rooms'), 'room', 'rooms')}, ${whole.format(sum(now.shards, 'http'))} not upgraded` },
  { title: 'Received', key: 'received', value: (p) => [rateText(p.received), '/s'], beside: (now, p) => `${speedText(p.bytesIn)} in` },
  { title: 'Delivered', key: 'delivered', value: (p) => [rateText(p.delivered), '/s'], beside: (now, p) => `${speedText(p.bytesOut)} out` },
  { title: 'Receive to send, p99', key: 'p99', second: 'p50', scale: powersOfTwo, value: (p) => timeOf(p.p99), beside: (now, p) => `p50 ${timeInWords(p.p50)}` },
  { title: 'Bytes out', key: 'bytesOut', value: (p) => (p.bytesOut === undefined ? [NONE, ''] : [bytesOf(p.bytesOut)[0], `${bytesOf(p.bytesOut)[1]}/s`]),
    beside: (now) => `${whole.format(now.lost)} lost to policy` },
  { title: 'Memory', key: 'resident', value: (p) => bytesOf(p.resident), beside: (now) => `${bytesInWords(now.history)} history, ${bytesInWords(sum(now.shards, 'held'))} held` },
];
// Of microseconds: one slow turn must not flatten all others.
function powersOfTwo(ns) {
  return Math.max(0, Math.log2(ns / 1000));
}
const rateText = (rate) => (rate === undefined ? NONE : inWords(rate));
const speedText = (rate) => (rate === undefined ? NONE : `${bytesInWords(rate)}/s`);

const tiles = TILES.map((what) => {
  const number = make('span');
  const unit = make('small');
  const value = make('p', { className: 'value' }, number, unit);
  const beside = make('p', { className: 'beside' });
  const spark = makeSpark(what.second !== undefined);
  const title = make('h2', { textContent: what.title });
  const tile = make('div', { className: 'tile' }, title, value, beside, spark.svg);
  $('tiles').append(tile);
  return { what, number, unit, beside, spark };
});

// RFC 6455 7.4.1 and the registry.
const CODES = { 1000: 'normal', 1001: 'going away', 1002: 'protocol error', 1003: 'unsupported data', 1005: 'no code', 1006: 'cut off', 1007: 'not UTF-8',
  1008: 'policy', 1009: 'too big', 1010: 'extension', 1011: 'internal error', 1012: 'restart', 1013: 'too slow', 1014: 'bad gateway', 1015: 'TLS',
  '3xxx': 'of libraries', '4xxx': 'of programs' };
const GOOD_CODES = new Set(['1000', '1001', '1005']);

function showOverview(now, before, seconds) {
  const point = past[past.length - 1];
  for (const { what, number, unit, beside, spark } of tiles) {
    const [text, unitText] = what.value(point);
    say(number, text);
    say(unit, unitText);
    say(beside, what.beside(now, point));
    const series = (key) => past.map((p) => what.scale?.(p[key] ?? NaN) ?? p[key] ?? NaN);
    drawSpark(spark, series(what.key), what.second && series(what.second));
  }
  showShards(now, before, seconds);
  showBars($('closes'), now.closes, (code) => (CODES[code] ? `${code} ${CODES[code]}` : code), (code) => !GOOD_CODES.has(code), 'No WebSocket has ended yet.');
  showBars($('refusals'), now.refusals, (reason) => reason.replaceAll('_', ' '), () => true, 'Everybody was served.');
  say($('life'), `ringcast ${now.version}, up ${ageInWords(now.uptime_s)}`);
  $('looking-only').hidden = now.actions;
  document.body.toggleAttribute('data-acts', now.actions);
}

const SHARD_LABELS = ['Shard', 'Busy', 'WebSockets', 'Received', 'Delivered', 'p99', 'Buffers used', 'Held for peers'];

function showShards(now, before, seconds) {
  const rows = $('shards');
  while (rows.children.length > now.shards.length) rows.lastElementChild.remove();
  now.shards.forEach((shard, i) => {
    const row = rows.children[i] ?? rows.appendChild(makeShardRow(i));
    const old = before?.shards[i];
    const rate = (key) => (old ? `${inWords((shard[key] - old[key]) / seconds)}/s` : NONE);
    const busy = old ? Math.min(1, (shard.busy_ns - old.busy_ns) / 1e9 / seconds) : 0;
    const meter = row.children[1].firstElementChild;
    meter.style.setProperty('--part', busy.toFixed(3));
    meter.classList.toggle('hot', busy > 0.85);
    say(meter.lastElementChild, old ? `${(busy * 100).toFixed(busy < 0.1 ? 1 : 0)} %` : NONE);
    const cells = [inWords(shard.websockets), rate('received'), old ? `${inWords((shard.deliveries + shard.sent - old.deliveries - old.sent) / seconds)}/s` : NONE,
      timeInWords(old ? quantile(timesBetween(shard.receive_to_send, old.receive_to_send), 0.99) : null),
      `${whole.format(shard.buffers - shard.buffers_free)} of ${whole.format(shard.buffers)}`, `${bytesInWords(shard.held)}`];
    cells.forEach((text, at) => say(row.children[at + 2], text));
  });
}

function makeShardRow(i) {
  const row = make('tr');
  SHARD_LABELS.forEach((label, at) => {
    const cell = make('td', { className: at === 0 ? 'first' : at > 1 ? 'number' : '' });
    cell.dataset.label = label;
    row.append(cell);
  });
  row.children[0].textContent = String(i);
  row.children[1].append(make('div', { className: 'meter' }, make('i'), make('span')));
  return row;
}

// Bars are as long as their share of the most; the smallest can still be seen.
function showBars(list, counts, nameOf, isBad, nothing) {
  const entries = Object.entries(counts).sort(([, a], [, b]) => b - a);
  if (entries.length === 0) {
    if (!list.querySelector('.none')) list.replaceChildren(make('li', { className: 'none', textContent: nothing }));
    return;
  }
  list.querySelector('.none')?.remove();
  while (list.children.length > entries.length) list.lastElementChild.remove();
  const most = entries[0][1];
  entries.forEach(([key, count], i) => {
    const item = list.children[i] ?? list.appendChild(make('li', {}, make('span'), make('i'), make('b')));
    item.className = isBad(key) ? 'bad' : '';
    say(item.children[0], nameOf(key));
    item.children[1].style.setProperty('--part', Math.max(0.01, count / most).toFixed(3));
    say(item.children[2], whole.format(count));
  });
}
