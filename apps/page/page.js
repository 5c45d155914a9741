'use strict';
// One room, one WebSocket. The server sends numbered texts: `NAME joined`, `NAME: TEXT`, `NAME left`. Text from others reaches
// the page through textContent alone. What the room remembers, if the server keeps a history, is asked for by
// GET /rooms/{room}/messages, and put in front of what is heard.
const $ = (id) => document.getElementById(id);
const NAME_BYTES_MAX = 64;
const ENTRIES_MAX = 1000;
const GROUP_ENTRIES = 20; // Laid out together.
const FLOOD_ENTRIES = 100; // Drawn at once: of more than these only a window and a half is made; the rest when somebody scrolls to it.
const ENTRY_PX_MIN = 40;
const MEMBERS_SHOWN_MAX = 200;
const SEATS_MAX = 60;
const POLL_MS = 10000;
const RETRY_FIRST_MS = 500;
const RETRY_MAX_MS = 15000;
const OPEN_TIMEOUT_MS = 10000;
const PAST_SHOWN_MAX = 50; // Of what was said before one came.
const PAST_ASKED = 200; // Besides these a busy room has said more until the answer comes.
const PAST_PAGE = 1000;
const PAST_PAGES_MAX = 10; // Whoever missed more than that has missed messages.
const PAST_TIMEOUT_MS = 3000;
const HELD_MAX = 5000; // Messages that wait for the past, or for their turn to be drawn.
const LEAVE_DELAY_MS = 4000; // Whoever reloads a page is back by then.
// A busy room is drawn a few times a second; nobody reads faster. Messages a second, and how long a picture stands then.
const BUSY_RATE = 20;
const BUSY_DRAW_MS = 100;
const FLOOD_RATE = 200;
const FLOOD_DRAW_MS = 250;
const HIDDEN_DRAW_MS = 500;
const TITLE = document.title;

// What lies beside this page, wherever a proxy has put it.
const here = (target) => new URL(`.${target}`, location.origin + location.pathname).href;
const hereByWebSocket = (target) => here(target).replace(/^http/, 'ws');

// Where the server wants a token: the page was opened with ?token=, and asks for all that it asks for with it.
const TOKEN = new URLSearchParams(location.search).get('token');
const withToken = (target) => (TOKEN === null ? target : `${target}${target.includes('?') ? '&' : '?'}token=${encodeURIComponent(TOKEN)}`);
// Whose it is, if it says so: then nobody can be called otherwise here.
const TOKEN_USER = (() => {
  try {
    const bytes = Uint8Array.from(atob(TOKEN.split('.')[1].replaceAll('-', '+').replaceAll('_', '/')), (c) => c.charCodeAt(0));
    return JSON.parse(new TextDecoder().decode(bytes)).sub || '';
  } catch {
    return '';
  }
})();

let room = '';
let me = '';
let socket = null;
let wanted = false; // Whether the person is in the room, whatever the network thinks.
let seated = false; // Whether this visit has been connected once: decides what a failure means.
let attempts = 0;
let retryTimer = 0;
let openTimer = 0;
let pollTimer = 0;
let position = null; // {epoch, seq} of the newest message that was heard; null until the server has said where one joined.
let held = null; // While the past is being asked for: what was heard meanwhile. null: nothing is held.
let queue = []; // What is to be drawn.
let drawTimer = 0;
let drawnAt = 0;
let heardRate = 0; // Messages a second, of about the last one.
let atEnd = true; // Whether the reader is at the end of the log.
let members = new Set();
const leaving = new Map(); // Names that left a moment ago, and may only have reloaded -> their timer.
let othersUnnamed = 0; // Members of the room that have no name, for example of /broadcast.
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
  [...$('log').children].forEach(forget);
  queue = [];
  lastAuthor = null;
  missed = 0;
  atEnd = true;
  position = null;
  members = new Set([me]);
  showWays();
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
  held = null;
  leaving.forEach((timer) => clearTimeout(timer));
  leaving.clear();
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
  const ws = new WebSocket(hereByWebSocket(withToken(`/chat/${encodeURIComponent(room)}?name=${encodeURIComponent(me)}&seq=1`)));
  ws.binaryType = 'arraybuffer';
  socket = ws;
  let opened = false;
  openTimer = setTimeout(() => ws.close(), OPEN_TIMEOUT_MS);
  ws.addEventListener('open', () => {
    if (ws !== socket) return;
    opened = true;
    clearTimeout(openTimer);
    attempts = 0;
    const isBack = seated;
    if (!seated) openHall();
    seated = true;
    hold(ws, isBack);
    setState('open', `Connected as ${me}`);
    poll();
  });
  ws.addEventListener('message', (event) => {
    if (ws === socket) hear(event.data);
  });
  ws.addEventListener('close', (event) => {
    if (ws !== socket) return;
    socket = null;
    clearTimers();
    release();
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
  const link = location.origin + location.pathname + location.hash; // without the token, which is one's own
  try {
    await navigator.clipboard.writeText(link);
    $('share-word').textContent = 'Copied';
    announce('The link to this room is copied.');
    setTimeout(() => { $('share-word').textContent = 'Copy link'; }, 2000);
  } catch {
    prompt('The link to this room:', link); // Without a secure origin the clipboard is out of reach.
  }
});

// How a program hears and says what is said here. A room's name is in quotes of a shell, and so has none of its own.
function showWays() {
  const path = encodeURIComponent(room).replace(/['()*!~]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`);
  $('way-hear').textContent = hereByWebSocket(`/broadcast/${path}?seq=1`);
  $('way-say').textContent = `curl -H 'Content-Type: text/plain' -d 'hello' '${here(`/rooms/${path}/messages`)}'`;
}
for (const way of document.querySelectorAll('.ways button')) {
  way.addEventListener('click', async () => {
    try {
      await navigator.clipboard.writeText(way.textContent);
      announce('Copied.');
      way.dataset.copied = '';
      setTimeout(() => delete way.dataset.copied, 1500);
    } catch { /* Without a secure origin it can be selected and copied by hand. */ }
  });
}

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
  if (wanted && seated) {
    draw(); // What waited for a frame that a hidden page would not get, or for the time that it takes there.
    showMissed();
  }
  if (document.hidden) return;
  retryNow();
  poll();
});

$('room').value = readHash() || 'lobby';
$('name').value = TOKEN_USER || recall('ringcast-name');
$('name').readOnly = TOKEN_USER !== '';
($('name').value ? $('join-button') : $('name')).focus();
