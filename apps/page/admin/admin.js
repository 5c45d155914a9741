'use strict';
// The dashboard. GET /admin/state says each second what the server has counted since its start; rates are made of two of them. What peers have chosen
// (names, rooms, what they say) reaches the page through textContent alone. Nothing is asked while nobody can see it.
const $ = (id) => document.getElementById(id);
const POLL_MS = 1000;
const RETRY_MAX_MS = 10000;
const ANSWER_TIMEOUT_MS = 10000;
const LIST_TICKS = 3; // Rooms and connections are asked for at each third.
const KEPT = 90; // Points of a sparkline: a minute and a half.

let state = null; // What was said last.
let stateAt = 0;
let ticks = 0;
let failures = 0;
let pollTimer = 0;
let asking = false;
const past = []; // Points, the newest last.

// --- Asking ------------------------------------------------------------------------------------------------------------------

// Addresses stand beside that of the page, so it works below a prefix as well.
async function ask(target, options = {}) {
  const answer = await fetch(target, { cache: 'no-store', signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS), ...options });
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw Object.assign(new Error(body.error ?? `The server answers ${answer.status}.`), { status: answer.status });
  return body;
}

async function poll() {
  clearTimeout(pollTimer);
  if (document.hidden || asking) return;
  asking = true;
  const begun = performance.now();
  try {
    take(await ask('admin/state'));
    failures = 0;
    if (ticks % LIST_TICKS === 0) await Promise.all([askRooms(), askConnections(), askRoom()]);
    ticks += 1;
    showState('live', 'Live');
  } catch (error) {
    failures += 1;
    ticks = 0;
    showState('lost', error.status ? `The server answers ${error.status}` : 'The server does not answer');
  }
  asking = false;
  const wait = failures === 0 ? POLL_MS - (performance.now() - begun) : Math.min(RETRY_MAX_MS, POLL_MS * 2 ** (failures - 1));
  clearTimeout(pollTimer);
  pollTimer = setTimeout(poll, Math.max(wait, POLL_MS / 4));
}

// Lists at once, for whoever has just asked for something else, or has changed something.
function askNow() {
  ticks = 0;
  if (!asking) poll();
}

function showState(name, text) {
  $('state').dataset.state = name;
  if ($('state-text').textContent !== text) $('state-text').textContent = text;
  document.body.toggleAttribute('data-stale', name === 'lost');
}

// --- What it said --------------------------------------------------------------------------------------------------------------

const sum = (shards, key) => shards.reduce((all, shard) => all + shard[key], 0);

function take(now) {
  const at = performance.now();
  const isSame = state !== null && state.start === now.start;
  if (state !== null && !isSame) {
    past.length = 0;
    forgetToken();
    tell('The server was started again.');
  }
  const before = isSame ? state : null;
  const seconds = (at - stateAt) / 1000;
  state = now;
  stateAt = at;
  const point = pointOf(now, before, seconds);
  past.push(point);
  if (past.length > KEPT) past.shift();
  showOverview(now, before, seconds);
}

function pointOf(now, before, seconds) {
  const point = { websockets: sum(now.shards, 'websockets'), resident: now.resident ?? 0 };
  if (!before) return point;
  const rate = (key) => Math.max(0, sum(now.shards, key) - sum(before.shards, key)) / seconds;
  const times = mergeTimes(now.shards.map((shard, i) => timesBetween(shard.receive_to_send, before.shards[i].receive_to_send)));
  return { ...point, received: rate('received'), delivered: rate('deliveries') + rate('sent'), bytesOut: rate('bytes_out'), bytesIn: rate('bytes_in'),
    p50: quantile(times, 0.5), p99: quantile(times, 0.99) };
}

// --- Histograms: [[end in ns, how many], ...] ------------------------------------------------------------------------------------

function timesBetween(now, before) {
  const had = new Map(before);
  return now.map(([end, count]) => [end, count - (had.get(end) ?? 0)]).filter(([, count]) => count > 0);
}

function mergeTimes(several) {
  const all = new Map();
  for (const [end, count] of several.flat()) all.set(end, (all.get(end) ?? 0) + count);
  return [...all].sort(([a], [b]) => a - b);
}

// Null where nothing was measured.
function quantile(times, share) {
  const wanted = share * times.reduce((all, [, count]) => all + count, 0);
  let seen = 0;
  for (const [end, count] of times) {
    seen += count;
    if (seen >= wanted) return end;
  }
  return null;
}

// --- Words ---------------------------------------------------------------------------------------------------------------------

const whole = new Intl.NumberFormat('en');
const short = new Intl.NumberFormat('en', { notation: 'compact', maximumSignificantDigits: 3 });
const NONE = '–';

const inWords = (number) => (number < 10000 ? whole.format(Math.round(number)) : short.format(number));
// [number, unit], with three digits: from 1,000 on it is the next unit.
function bytesOf(bytes) {
  let unit = 0;
  for (; bytes >= 1000 && unit < 4; unit += 1) bytes /= 1024;
  return [unit === 0 || bytes >= 1000 ? String(Math.round(bytes)) : bytes.toPrecision(3), ['B', 'KiB', 'MiB', 'GiB', 'TiB'][unit]];
}
const bytesInWords = (bytes) => bytesOf(bytes).join(' ');
function timeOf(ns) {
  if (ns === null || ns === undefined) return [NONE, ''];
  const [number, unit] = ns < 1e6 ? [ns / 1e3, 'µs'] : ns < 1e9 ? [ns / 1e6, 'ms'] : [ns / 1e9, 's'];
  return [number < 100 ? String(Number(number.toPrecision(2))) : String(Math.round(number)), unit];
}
const timeInWords = (ns) => timeOf(ns).join(' ').trim();
function ageInWords(seconds) {
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86400)} d ${Math.floor((seconds % 86400) / 3600)} h`;
}
const people = (number, one, many) => `${whole.format(number)} ${number === 1 ? one : many}`;

let toldTimer = 0;
function tell(text) {
  clearTimeout(toldTimer);
  $('told').textContent = text;
  toldTimer = setTimeout(() => { $('told').textContent = ''; }, 6000);
}

// --- Elements ------------------------------------------------------------------------------------------------------------------

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}
function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
