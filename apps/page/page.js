'use strict';
// One room, one WebSocket. The server sends plain texts: `NAME joined`, `NAME: TEXT`, `NAME left`. Text from others reaches
// the page through textContent alone.
const $ = (id) => document.getElementById(id);
const NAME_BYTES_MAX = 64;
const ENTRIES_MAX = 1000;
const MEMBERS_SHOWN_MAX = 200;
const SEATS_MAX = 60;
const POLL_MS = 10000;
const RETRY_FIRST_MS = 500;
const RETRY_MAX_MS = 15000;
const OPEN_TIMEOUT_MS = 10000;
const TITLE = document.title;

let room = '';
let me = '';
let socket = null;
let wanted = false; // Whether the person is in the room, whatever the network thinks.
let seated = false; // Whether this visit has been connected once: decides what a failure means.
let attempts = 0;
let retryTimer = 0;
let openTimer = 0;
let pollTimer = 0;
let members = new Set();
let othersUnnamed = 0; // Members of the room that have no name, for example of /broadcast.
let pulseTimer = 0;
let lastAuthor = null;
let missed = 0;

// --- The door ------------------------------------------------------------------------------------------------------------

const bytesOf = (text) => new TextEncoder().encode(text).length;

function nameFault(name) {
  if (name === '') return 'Type the name the others will see.';
  if (/[\u0000-\u001f\u007f-\u009f]/.test(name)) return 'A name cannot contain control characters.';
  if (bytesOf(name) > NAME_BYTES_MAX) return `That is ${bytesOf(name)} bytes long; a name has at most ${NAME_BYTES_MAX}.`;
  return '';
}

function roomFault(name) {
  if (name === '') return 'Type the name of a room. It is made when the first one joins.';
  if (name === '.' || name === '..') return 'A room cannot be called that.';
  if (/[\u0000-\u001f\u007f-\u009f]/.test(name)) return 'A room cannot contain control characters.';
  if (bytesOf(name) > NAME_BYTES_MAX) return `That is ${bytesOf(name)} bytes long; a room has at most ${NAME_BYTES_MAX}.`;
  return '';
}

function showFault(field, text) {
  $(`${field}-error`).textContent = text;
  if (text) $(field).setAttribute('aria-invalid', 'true');
  else $(field).removeAttribute('aria-invalid');
}

$('join').addEventListener('submit', (event) => {
  event.preventDefault();
  const roomName = $('room').value.trim();
  const name = $('name').value.trim();
  showFault('room', roomFault(roomName));
  showFault('name', nameFault(name));
  const faulty = ['room', 'name'].find((field) => $(`${field}-error`).textContent);
  if (faulty) $(faulty).focus();
  else if (!wanted) enter(roomName, name);
});
for (const field of ['room', 'name']) $(field).addEventListener('input', () => showFault(field, ''));

function enter(roomName, name) {
  room = roomName;
  me = name;
  wanted = true;
  seated = false;
  attempts = 0;
  remember('ringcast-name', name);
  writeHash(room);
  $('join-button').textContent = 'Joining…';
  $('join-button').setAttribute('aria-disabled', 'true');
  connect();
}

function openHall() {
  document.body.dataset.view = 'hall';
  $('room-title').textContent = room;
  $('log').replaceChildren();
  lastAuthor = null;
  members = new Set([me]);
  $('door').hidden = true;
  $('hall').hidden = false;
  showMembers();
  setTitle();
  $('text').focus();
}

function openDoor() {
  wanted = false;
  clearTimers();
  if (socket) {
    const old = socket;
    socket = null;
    old.close(1000);
  }
  document.body.dataset.view = 'door';
  $('hall').hidden = true;
  $('door').hidden = false;
  closeSide();
  $('join-button').textContent = 'Join';
  $('join-button').removeAttribute('aria-disabled');
  document.title = TITLE;
}

// --- The connection --------------------------------------------------------------------------------------------------------

function connect() {
  clearTimers();
  setState('connecting', seated ? 'Reconnecting…' : 'Connecting…');
  const scheme = location.protocol === 'https:' ? 'wss' : 'ws';
  const ws = new WebSocket(`${scheme}://${location.host}/chat/${encodeURIComponent(room)}?name=${encodeURIComponent(me)}`);
  ws.binaryType = 'arraybuffer';
  socket = ws;
  let opened = false;
  openTimer = setTimeout(() => ws.close(), OPEN_TIMEOUT_MS);
  ws.addEventListener('open', () => {
    if (ws !== socket) return;
    opened = true;
    clearTimeout(openTimer);
    attempts = 0;
    if (seated) addEvent('You are back. Messages sent meanwhile are not shown.');
    else openHall();
    seated = true;
    setState('open', `Connected as ${me}`);
    poll();
  });
  ws.addEventListener('message', (event) => {
    if (ws === socket && typeof event.data === 'string') take(event.data);
  });
  ws.addEventListener('close', (event) => {
    if (ws !== socket) return;
    socket = null;
    clearTimers();
    if (!wanted) return;
    if (!seated) refused();
    else lost(event, opened);
  });
}

// A browser does not say why an upgrade was refused, so the page asks the plain route what stands in the way.
async function refused() {
  const names = await askMembers();
  if (!wanted || seated || socket) return;
  openDoor();
  if (names === null) showFault('room', 'The server does not answer. Check that it runs, then try again.');
  else if (names.includes(me)) showFault('name', `“${me}” is already in this room. Choose another name.`);
  else showFault('name', 'The server refused this name or room. The name may have been taken just now.');
  $(names === null ? 'room' : 'name').focus();
}

function lost(event, opened) {
  if (opened) addEvent(lostBecause(event), true);
  const ceiling = Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** attempts);
  const wait = ceiling / 2 + Math.random() * (ceiling / 2);
  attempts += 1;
  countDown(performance.now() + wait);
}

function lostBecause({ code, reason }) {
  if (code === 1001) return 'The server is going away.';
  if (code === 1013) return `The server closed this connection: ${reason || 'it could not keep up'}.`;
  if (reason) return `Connection closed: ${reason}.`;
  return 'Connection lost.';
}

function countDown(until) {
  const left = until - performance.now();
  if (left <= 0) {
    connect();
    return;
  }
  const seconds = Math.ceil(left / 1000);
  setState('waiting', navigator.onLine === false ? 'Offline' : `Disconnected. Next try in ${seconds} s`);
  retryTimer = setTimeout(() => countDown(until), Math.min(left, 1000));
}

function retryNow() {
  if (wanted && seated && !socket) connect();
}

function clearTimers() {
  clearTimeout(retryTimer);
  clearTimeout(openTimer);
  clearTimeout(pollTimer);
}

function setState(state, text) {
  $('state').dataset.state = state;
  // A countdown would be read out each second; only the change of state is.
  $('state').setAttribute('aria-live', state === 'waiting' && attempts > 1 ? 'off' : 'polite');
  if ($('state-text').textContent !== text) $('state-text').textContent = text;
  $('retry').hidden = state !== 'waiting';
  $('send').setAttribute('aria-disabled', String(state !== 'open'));
}

// --- The members -----------------------------------------------------------------------------------------------------------

// The room's names, or null when the server does not answer. A room that nobody is in may answer 404: that is no names.
async function askMembers() {
  try {
    const answer = await fetch(`/rooms/${encodeURIComponent(room)}`, { cache: 'no-store', headers: { Accept: 'application/json' } });
    if (answer.status === 404) return [];
    if (!answer.ok) return null;
    const said = await answer.json();
    const list = Array.isArray(said.members) ? said.members : Array.isArray(said.names) ? said.names : [];
    const names = list.map((entry) => (typeof entry === 'string' ? entry : entry && entry.name)).filter(Boolean);
    const count = typeof said.members === 'number' ? said.members : list.length;
    othersUnnamed = Math.max(0, count - names.length);
    return names;
  } catch {
    return null;
  }
}

async function poll() {
  clearTimeout(pollTimer);
  if (document.hidden || !socket || socket.readyState !== WebSocket.OPEN) return;
  const asked = socket;
  const names = await askMembers();
  if (socket !== asked) return;
  if (names && names.length > 0) members = new Set(names);
  showMembers();
  clearTimeout(pollTimer);
  pollTimer = setTimeout(poll, POLL_MS);
}

const hueOf = (name) => {
  let hash = 2166136261;
  for (const byte of new TextEncoder().encode(name)) hash = Math.imul(hash ^ byte, 16777619) >>> 0;
  return (Math.imul(hash ^ (hash >>> 15), 2246822507) >>> 0) % 360; // FNV alone leaves short names close together.
};
const initialOf = (name) => [...name][0].toUpperCase();

function showMembers() {
  const names = [...members].sort((a, b) => (b === me) - (a === me) || a.localeCompare(b));
  const count = names.length + othersUnnamed;
  $('ring-number').textContent = count;
  $('seats-number').textContent = count;
  $('ring-word').textContent = count === 1 ? 'only you, so far' : 'in the ring';
  $('seats').setAttribute('aria-label', `${count} ${count === 1 ? 'member' : 'members'}`);
  $('members').replaceChildren(...names.slice(0, MEMBERS_SHOWN_MAX).map((name) => {
    const item = element('li', '', element('span', '', name));
    item.style.setProperty('--hue', hueOf(name));
    if (name === me) item.append(element('small', '', 'you'));
    return item;
  }));
  const more = count - Math.min(names.length, MEMBERS_SHOWN_MAX);
  $('members-more').hidden = more === 0;
  $('members-more').textContent = `and ${more} more`;
  drawRing(names);
}

function drawRing(names) {
  const svg = (tag, attributes) => {
    const node = document.createElementNS('http://www.w3.org/2000/svg', tag);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    return node;
  };
  const shown = names.slice(0, SEATS_MAX);
  const radius = Math.max(2.5, Math.min(15, 250 / Math.max(shown.length, 1)));
  const nodes = [svg('circle', { class: 'ring-track', r: 88 }), svg('circle', { class: 'ring-track', r: 62, 'stroke-dasharray': '1 7' })];
  shown.forEach((name, index) => {
    const angle = (index / shown.length) * 2 * Math.PI - Math.PI / 2;
    const at = { cx: (88 * Math.cos(angle)).toFixed(2), cy: (88 * Math.sin(angle)).toFixed(2) };
    const seat = svg('g', { class: 'seat' });
    seat.dataset.name = name;
    seat.style.setProperty('--hue', hueOf(name));
    if (name === me) seat.append(svg('circle', { ...at, class: 'seat-mine', r: radius + 3.5 }));
    seat.append(svg('circle', { ...at, r: radius }));
    if (radius > 9) {
      const letter = svg('text', { x: at.cx, y: at.cy });
      letter.textContent = initialOf(name);
      seat.append(letter);
    }
    nodes.push(seat);
  });
  $('ring').replaceChildren(...nodes);
}

function pulse(name) {
  if (document.hidden || $('ring').getClientRects().length === 0) return;
  $('ring').querySelectorAll('.ring-wave').forEach((node) => node.remove());
  const wave = document.createElementNS('http://www.w3.org/2000/svg', 'circle');
  wave.setAttribute('class', 'ring-wave');
  wave.setAttribute('r', 88);
  wave.style.setProperty('--hue', hueOf(name));
  $('ring').prepend(wave);
  for (const seat of $('ring').querySelectorAll('.seat')) {
    if (seat.dataset.name !== name) continue;
    seat.classList.remove('speaks');
    seat.getBoundingClientRect(); // Lets the animation start again.
    seat.classList.add('speaks');
  }
  clearTimeout(pulseTimer);
  pulseTimer = setTimeout(() => $('ring').querySelectorAll('.ring-wave').forEach((node) => node.remove()), 1200);
}

// --- The messages ----------------------------------------------------------------------------------------------------------

// What a text says. A name may itself contain a colon or end in a word like `joined`, so known members are tried first.
function parse(line) {
  let author = null;
  for (const name of members) {
    if (line.startsWith(`${name}: `) && (author === null || name.length > author.length)) author = name;
  }
  if (author !== null) return { kind: 'said', name: author, text: line.slice(author.length + 2) };
  const event = /^([^\n]+) (joined|left)$/.exec(line);
  if (event && (members.has(event[1]) || !event[1].includes(': '))) return { kind: event[2], name: event[1] };
  const colon = line.indexOf(': ');
  if (colon > 0) return { kind: 'said', name: line.slice(0, colon), text: line.slice(colon + 2) };
  return { kind: 'note', text: line };
}

function take(line) {
  const what = parse(line);
  if (what.kind === 'said') {
    addMessage(what.name, what.text);
    pulse(what.name);
  } else if (what.kind === 'note') {
    addEvent(what.text);
  } else {
    if (what.kind === 'joined') members.add(what.name);
    else members.delete(what.name);
    showMembers();
    addEvent(what.name === me && what.kind === 'joined' ? 'You joined' : `${what.name} ${what.kind}`);
  }
}

function element(tag, className, ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...children);
  return node;
}

function addMessage(name, text) {
  const opens = name !== lastAuthor;
  lastAuthor = name;
  const now = new Date();
  const time = element('time', '', now.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' }));
  time.dateTime = now.toISOString();
  const face = element('span', 'face', initialOf(name));
  face.setAttribute('aria-hidden', 'true');
  const by = element('span', 'by', element('b', '', name), time);
  const entry = element('div', `said${opens ? ' opens' : ''}${name === me ? ' mine' : ''}`, by, face, element('span', 'words', text));
  entry.style.setProperty('--hue', hueOf(name));
  append(entry, name !== me);
}

function addEvent(text, trouble = false) {
  lastAuthor = null;
  append(element('p', `event${trouble ? ' trouble' : ''}`, text), false);
}

// Follows the conversation only for a reader who is at its end; one who reads back is told that there is more.
function append(entry, counts) {
  const log = $('log');
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  log.append(entry);
  while (log.childElementCount > ENTRIES_MAX) log.firstElementChild.remove();
  if (atEnd || entry.classList.contains('mine')) log.scrollTop = log.scrollHeight;
  if (counts && (document.hidden || !atEnd)) missed += 1;
  showMissed();
}

function showMissed() {
  const log = $('log');
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  if (atEnd && !document.hidden) missed = 0;
  $('newer').hidden = atEnd || missed === 0;
  $('newer').textContent = `${missed} new ${missed === 1 ? 'message' : 'messages'} ↓`;
  setTitle();
}

function setTitle() {
  document.title = `${missed > 0 ? `(${missed}) ` : ''}${room} · ringcast`;
}

$('log').addEventListener('scroll', showMissed, { passive: true });
$('newer').addEventListener('click', () => {
  $('log').scrollTop = $('log').scrollHeight;
  $('text').focus();
});

// --- The composer ----------------------------------------------------------------------------------------------------------

function fitComposer() {
  const text = $('text');
  text.style.height = 'auto';
  text.style.height = `${Math.min(text.scrollHeight + 2, 152)}px`;
}

$('text').addEventListener('input', fitComposer);
$('text').addEventListener('keydown', (event) => {
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  $('compose').requestSubmit();
});
$('compose').addEventListener('submit', (event) => {
  event.preventDefault();
  const text = $('text').value.trim();
  $('text').focus();
  if (text === '') return;
  if (!socket || socket.readyState !== WebSocket.OPEN) {
    announce('Not connected. Your message is kept here until you can send it.');
    return;
  }
  socket.send(text);
  $('text').value = '';
  fitComposer();
});

// --- Leaving, sharing, the address -----------------------------------------------------------------------------------------

function announce(text) {
  $('said').textContent = '';
  setTimeout(() => { $('said').textContent = text; }, 50);
}

$('leave').addEventListener('click', () => {
  openDoor();
  $('name').focus();
});
$('retry').addEventListener('click', () => {
  retryNow();
  $('text').focus();
});
$('share').addEventListener('click', async () => {
  const link = location.href;
  try {
    await navigator.clipboard.writeText(link);
    $('share-word').textContent = 'Copied';
    announce('The link to this room is copied.');
    setTimeout(() => { $('share-word').textContent = 'Copy link'; }, 2000);
  } catch {
    prompt('The link to this room:', link); // Without a secure origin the clipboard is out of reach.
  }
});

function closeSide() {
  document.querySelector('.side').classList.remove('open');
  $('seats').setAttribute('aria-expanded', 'false');
}
$('seats').addEventListener('click', () => {
  const open = document.querySelector('.side').classList.toggle('open');
  $('seats').setAttribute('aria-expanded', String(open));
});
document.addEventListener('keydown', (event) => {
  if (event.key === 'Escape' && $('seats').getAttribute('aria-expanded') === 'true') {
    closeSide();
    $('seats').focus();
  }
});
$('log').addEventListener('pointerdown', closeSide);

function readHash() {
  try {
    return decodeURIComponent(location.hash.slice(1));
  } catch {
    return '';
  }
}
function writeHash(name) {
  if (readHash() !== name) history.replaceState(null, '', `#${encodeURIComponent(name)}`);
}
function remember(key, value) {
  try { localStorage.setItem(key, value); } catch { /* Private windows may refuse; nothing depends on it. */ }
}
function recall(key) {
  try { return localStorage.getItem(key) || ''; } catch { return ''; }
}

addEventListener('hashchange', () => {
  const name = readHash();
  if (name === '' || (wanted && name === room)) return;
  const again = wanted && me;
  openDoor();
  $('room').value = name;
  if (again && !roomFault(name)) enter(name, me);
});
addEventListener('online', retryNow);
document.addEventListener('visibilitychange', () => {
  if (document.hidden) return;
  if (wanted && seated) showMissed();
  retryNow();
  poll();
});

$('room').value = readHash() || 'lobby';
$('name').value = recall('ringcast-name');
($('name').value ? $('join-button') : $('name')).focus();
