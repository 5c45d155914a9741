// --- One room: who is in it, what it keeps, and what is said from now on, for whoever asks to listen ------------------------------------

const LOG_LINES = 200;
const PAST_LINES = 30;
const NAMES_SHOWN = 200;
const DRAW_MS = 250; // Nobody reads faster.

let roomOpen = null; // Its name.
let listening = null; // The WebSocket.
let logQueue = [];
let logTimer = 0;
let passedOver = 0; // Lines that came faster than they could have been seen.

function openRoom(name) {
  stopListening();
  roomOpen = name;
  $('room-name').textContent = name;
  $('room-facts').textContent = '';
  $('who').replaceChildren();
  $('who-note').textContent = '';
  $('log').replaceChildren();
  $('publish-text').value = '';
  if (!$('room').open) $('room').showModal();
  $('room-name').focus();
  askRoom().catch((error) => say($('room-facts'), error.message));
  askPast(name);
}

async function askRoom() {
  const name = roomOpen;
  if (name === null) return;
  let told;
  try {
    told = await ask(`rooms/${encodeURIComponent(name)}`);
  } catch (error) {
    if (error.status !== 404) throw error;
    told = { members: 0, names: [], users: [], user_count: 0 };
  }
  if (name !== roomOpen) return;
  say($('room-facts'), `${people(told.members, 'member', 'members')}${told.user_count ? `, ${people(told.user_count, 'user', 'users')}` : ''}`);
  const named = [...told.names, ...told.users.map(({ user, connections }) => (connections > 1 ? `${user} (${connections})` : user))];
  const shown = named.slice(0, NAMES_SHOWN);
  const list = $('who');
  while (list.children.length > shown.length) list.lastElementChild.remove();
  shown.forEach((text, i) => say(list.children[i] ?? list.appendChild(make('li')), text));
  const others = Math.max(0, told.members - told.names.length - told.users.reduce((all, { connections }) => all + connections, 0));
  say($('who-note'), told.members === 0 ? 'Nobody is here now.' : others > 0 ? `${named.length > 0 ? 'And ' : ''}${people(others, 'member', 'members')} without a name` : '');
}

// What the room remembers, if it remembers anything.
async function askPast(name) {
  const told = await ask(`rooms/${encodeURIComponent(name)}/messages?limit=${PAST_LINES}`).catch(() => null);
  if (name !== roomOpen || listening !== null || told === null) return;
  for (const message of told.messages) logQueue.push({ number: message.seq, text: message.text ?? `${message.binary.length * 3 >> 2} bytes, not text` });
  drawLog();
}

// --- Listening ---

function listen() {
  const address = new URL(`broadcast/${encodeURIComponent(roomOpen)}?seq=1&gaps=1&history=${PAST_LINES}`, location.href);
  address.protocol = location.protocol === 'https:' ? 'wss:' : 'ws:';
  const ws = new WebSocket(address);
  ws.binaryType = 'arraybuffer';
  listening = ws;
  $('listen').setAttribute('aria-pressed', 'true');
  $('listen').textContent = 'Stop listening';
  $('log').replaceChildren();
  ws.addEventListener('message', ({ data }) => {
    if (ws === listening) hear(data);
  });
  ws.addEventListener('close', ({ code, reason }) => {
    if (ws !== listening) return;
    stopListening();
    hearLine({ event: true, text: `No longer listening: ${code}${reason ? ` ${reason}` : ''}` });
  });
}

function stopListening() {
  const ws = listening;
  listening = null;
  ws?.close(1000);
  clearTimeout(logTimer);
  logTimer = 0;
  logQueue = [];
  passedOver = 0;
  $('listen').setAttribute('aria-pressed', 'false');
  $('listen').textContent = 'Listen';
}

// A text is its number, a line feed and itself; what has no number is the server's own word. A binary message has its number in 8 bytes.
function hear(data) {
  if (typeof data !== 'string') {
    hearLine({ number: Number(new DataView(data).getBigUint64(0)), text: `${people(data.byteLength - 8, 'byte', 'bytes')}, not text` });
    return;
  }
  if (data.startsWith('{')) {
    const { gap } = JSON.parse(data);
    if (gap) hearLine({ event: true, text: `Messages ${gap.from} to ${gap.to} were skipped.` });
    return;
  }
  const end = data.indexOf('\n');
  hearLine({ number: Number(data.slice(0, end)), text: data.slice(end + 1) });
}

function hearLine(line) {
  logQueue.push(line);
  if (logQueue.length > LOG_LINES) {
    logQueue.shift();
    passedOver += 1;
  }
  if (logTimer === 0) logTimer = setTimeout(drawLog, DRAW_MS);
}

const TEXT_SHOWN = 2000;

function drawLog() {
  clearTimeout(logTimer);
  logTimer = 0;
  const log = $('log');
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 30;
  if (passedOver > 0) logQueue.unshift({ event: true, text: `${people(passedOver, 'message', 'messages')} went by too fast to show.` });
  passedOver = 0;
  log.append(...logQueue.map(({ number, text, event }) => make('li', { className: event ? 'event' : '' }, make('span', { textContent: number ?? '' }),
    make('p', { textContent: text.length > TEXT_SHOWN ? `${text.slice(0, TEXT_SHOWN)}…` : text }))));
  logQueue = [];
  for (let over = log.children.length - LOG_LINES; over > 0; over -= 1) log.firstElementChild.remove();
  if (atEnd) log.scrollTop = log.scrollHeight;
}

$('listen').addEventListener('click', () => {
  if (listening) stopListening();
  else listen();
});
$('room-shut').addEventListener('click', () => $('room').close());
$('room').addEventListener('close', () => {
  stopListening();
  roomOpen = null;
});
$('room-close').addEventListener('click', () => askToCloseRoom(roomOpen));
$('publish').addEventListener('submit', (event) => {
  event.preventDefault();
  if ($('publish-text').value !== '') askToPublish(roomOpen, $('publish-text').value);
});
$('publish-text').addEventListener('keydown', (event) => {
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  $('publish').requestSubmit();
});
