// --- Rooms and connections -----------------------------------------------------------------------------------------------------------

const SHOWN = 50; // Rooms of a page, and of what a search has found.
const FEW = 12; // Connections, until somebody wants to see more.
const MANY = 100;
const SEARCH_PAGE = 1000;
const SEARCHED_MAX = 100000; // Rooms that one search looks at.

// Rows keep their place while somebody points at them or is among them with the keyboard: what one is about to press must not move.
const isHeld = (body) => body.matches(':hover') || body.contains(document.activeElement);

// Rows by their key, made once and filled in again, so that the focus stays. `make` gets the key.
function showRows(body, items, keyOf, makeRow, fill) {
  const old = new Map([...body.children].map((row) => [row.dataset.key, row]));
  const wanted = items.map((item) => {
    const key = keyOf(item);
    const row = old.get(key) ?? makeRow(item);
    row.dataset.key = key;
    fill(row, item);
    old.delete(key);
    return row;
  });
  if (isHeld(body) && body.children.length > 0) {
    for (const row of old.values()) row.style.opacity = '.45'; // It has gone.
    return;
  }
  for (const row of old.values()) row.remove();
  wanted.forEach((row, i) => {
    row.style.opacity = '';
    if (body.children[i] !== row) body.insertBefore(row, body.children[i] ?? null);
  });
}

function cell(label, className = 'number') {
  const made = make('td', { className });
  made.dataset.label = label;
  return made;
}

// --- Rooms: a page, or what a search has found ---

let roomsAfter = ''; // Where the page begins.
let roomsSearched = null; // {text, rooms, looked} of the search that was finished last.
let searchRun = 0;

async function askRooms() {
  if ($('room-search').value.trim() !== '') return;
  const asked = roomsAfter;
  const page = await ask(`rooms?limit=${SHOWN}${asked === '' ? '' : `&after=${encodeURIComponent(asked)}`}`);
  if (asked !== roomsAfter || $('room-search').value.trim() !== '') return;
  showRooms(page.rooms);
  $('rooms-back').hidden = asked === '';
  $('rooms-next').hidden = page.next === null;
  $('rooms-next').dataset.after = page.next ?? '';
  const all = sum(state.shards, 'rooms');
  say($('rooms-note'), page.rooms.length === 0 ? 'Nobody is in a room.' : all > page.rooms.length ? `${whole.format(page.rooms.length)} of ${people(all, 'room', 'rooms')}, those that only remember included` : '');
}

function showRooms(rooms) {
  showRows($('rooms'), rooms, (room) => room.name, makeRoomRow, (row, room) => say(row.children[1], whole.format(room.members)));
}

function makeRoomRow({ name }) {
  const open = make('button', { type: 'button', className: 'name', textContent: name });
  open.addEventListener('click', () => openRoom(name));
  const row = make('tr', {}, cell('Room', 'first'), cell('Members'), cell('', 'does'));
  row.firstElementChild.append(open);
  const close = make('button', { type: 'button', className: 'button-quiet danger acts', textContent: 'Close…' });
  close.setAttribute('aria-label', `Close room ${name}`);
  close.addEventListener('click', () => askToCloseRoom(name));
  row.lastElementChild.append(close);
  return row;
}

// The server has no search: pages are looked through until enough is found. A search that somebody has gone on typing in is given up.
async function searchRooms() {
  searchRun += 1;
  const run = searchRun;
  const text = $('room-search').value.trim().toLowerCase();
  if (text === '') {
    askNow();
    return;
  }
  for (const id of ['rooms-back', 'rooms-next']) $(id).hidden = true;
  const found = [];
  let looked = 0;
  let after = null;
  try {
    do {
      const page = await ask(`rooms?limit=${SEARCH_PAGE}${after === null ? '' : `&after=${encodeURIComponent(after)}`}`);
      if (run !== searchRun) return;
      looked += page.rooms.length;
      found.push(...page.rooms.filter(({ name }) => name.toLowerCase().includes(text)));
      after = page.next;
    } while (after !== null && found.length <= SHOWN && looked < SEARCHED_MAX);
  } catch (error) {
    say($('rooms-note'), error.message);
    return;
  }
  $('rooms').replaceChildren();
  showRooms(found.slice(0, SHOWN));
  const more = found.length > SHOWN || after !== null;
  say($('rooms-note'), found.length === 0 ? `No room of ${whole.format(looked)} has that in its name.`
    : `${more ? 'The first ' : ''}${people(Math.min(found.length, SHOWN), 'room', 'rooms')} found`);
}

let searchTimer = 0;
$('room-search').addEventListener('input', () => {
  clearTimeout(searchTimer);
  roomsAfter = '';
  searchTimer = setTimeout(searchRooms, 250);
});
$('room-search').addEventListener('keydown', (event) => {
  const name = $('room-search').value.trim();
  if (event.key === 'Enter' && name !== '') openRoom(name);
});
for (const id of ['rooms-next', 'rooms-back']) {
  $(id).addEventListener('click', () => {
    roomsAfter = id === 'rooms-next' ? $(id).dataset.after : '';
    $('rooms').replaceChildren();
    askNow();
  });
}

// --- Connections ---

const CONNECTION_LABELS = ['Who', 'Rooms', 'Age', 'Behind', 'Said', 'Heard', 'Round trip'];
const MUCH_BEHIND = 64 * 1024;

async function askConnections() {
  const text = $('connection-search').value.trim().toLowerCase();
  const sort = $('sort').value;
  const most = $('connections-more').getAttribute('aria-pressed') === 'true' ? MANY : FEW;
  const page = await ask(`connections?sort=${sort}&limit=${text === '' ? most : SEARCH_PAGE}`);
  if (sort !== $('sort').value || text !== $('connection-search').value.trim().toLowerCase()) return;
  const fits = (c) => [c.address, c.name, c.user, c.id, ...c.rooms].some((word) => word?.toLowerCase().includes(text));
  const shown = (text === '' ? page.connections : page.connections.filter(fits)).slice(0, most);
  $('connections-more').hidden = page.total <= FEW;
  showRows($('connections'), shown, (c) => c.id, makeConnectionRow, fillConnectionRow);
  say($('connections-note'), text === '' ? (page.total > shown.length ? `${whole.format(shown.length)} of ${people(page.total, 'connection', 'connections')}` : '')
    : `${people(shown.length, 'connection', 'connections')} found among ${page.total > page.connections.length ? `the first ${whole.format(page.connections.length)} of ${whole.format(page.total)}` : `all ${whole.format(page.total)}`}`);
}

function makeConnectionRow(of) {
  const row = make('tr', {}, ...CONNECTION_LABELS.map((label, i) => cell(label, i === 0 ? 'first' : i === 1 ? '' : 'number')), cell('', 'does'));
  row.firstElementChild.append(make('span'), make('small'));
  const close = make('button', { type: 'button', className: 'button-quiet danger acts', textContent: 'Close…' });
  close.addEventListener('click', () => askToCloseConnection(row.of));
  close.setAttribute('aria-label', `Close connection of ${of.name ?? of.user ?? of.address}`);
  row.lastElementChild.append(close);
  return row;
}

function fillConnectionRow(row, of) {
  row.of = of;
  const [who, rooms, age, behind, said, heard, trip] = row.children;
  const name = of.name ?? of.user;
  say(who.children[0], name ?? of.address);
  say(who.children[1], [name ? of.address : null, of.kind === 'websocket' ? null : of.kind, of.tls, of.compression && 'compressed'].filter(Boolean).join(', '));
  say(rooms, of.rooms.length === 0 ? NONE : of.rooms.slice(0, 3).join(', ') + (of.room_count > 3 ? ` and ${of.room_count - 3} more` : ''));
  say(age, ageInWords(of.age_s));
  say(behind, of.bytes_behind === 0 ? '0' : `${bytesInWords(of.bytes_behind)}, ${people(of.messages_behind, 'message', 'messages')}`);
  behind.classList.toggle('behind-much', of.bytes_behind > MUCH_BEHIND);
  say(said, inWords(of.messages_in));
  say(heard, inWords(of.messages_out));
  say(trip, of.round_trip_us === null ? NONE : timeInWords(of.round_trip_us * 1000));
}

$('sort').addEventListener('change', askNow);
$('connection-search').addEventListener('input', () => {
  clearTimeout(searchTimer);
  searchTimer = setTimeout(askNow, 250);
});
$('connections-more').addEventListener('click', () => {
  const more = $('connections-more').getAttribute('aria-pressed') !== 'true';
  $('connections-more').setAttribute('aria-pressed', String(more));
  $('connections-more').textContent = more ? 'Show fewer' : 'Show more';
  askNow();
});
