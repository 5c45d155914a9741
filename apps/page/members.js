// Who is in the room: asked now and then, shown as a list and as a ring, each name with its colour.

// The room's names, or null when the server does not answer. A room that nobody is in may answer 404: that is no names.
async function askMembers() {
  try {
    const answer = await fetch(here(withToken(`/rooms/${encodeURIComponent(room)}`)), { cache: 'no-store', headers: { Accept: 'application/json' } });
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
  if (names && names.length > 0) members = new Set([...names, ...leaving.keys()]);
  showMembers();
  clearTimeout(pollTimer);
  pollTimer = setTimeout(poll, POLL_MS);
}

// Twelve colours that can be told apart. Who is new gets the one that the fewest have, and names that stand beside each other, in the
// ring or in the conversation, never have the same: whoever would is given another one.
const HUES = 12;
const COLOURED_MAX = 2000;
const colours = new Map(); // name -> 0 to HUES - 1
let recentAuthors = []; // The last ones that said something, the newest first.
const RECENT_AUTHORS = 3;

function hashOf(name) {
  let hash = 2166136261;
  for (const byte of new TextEncoder().encode(name)) hash = Math.imul(hash ^ byte, 16777619) >>> 0;
  return Math.imul(hash ^ (hash >>> 15), 2246822507) >>> 0; // FNV alone leaves short names close together.
}

function giveColour(name, besides) {
  const uses = new Array(HUES).fill(0);
  for (const other of members) {
    if (other !== name && colours.has(other)) uses[colours.get(other)] += 1;
  }
  for (const other of besides) {
    if (other !== name && colours.has(other)) uses[colours.get(other)] = Infinity;
  }
  const first = hashOf(name) % HUES;
  let best = first;
  for (let step = 1; step < HUES; step += 1) {
    const next = (first + step * 5) % HUES; // 5 and 12 have no common divisor: every colour once, neighbours far apart.
    if (uses[next] < uses[best]) best = next;
  }
  if (colours.size >= COLOURED_MAX) {
    for (const known of colours.keys()) if (!members.has(known) && !recentAuthors.includes(known)) colours.delete(known);
  }
  colours.set(name, best);
}

// The colour of a name that stands beside these.
function hueOf(name, besides = []) {
  if (!colours.has(name) || besides.some((other) => other !== name && colours.get(other) === colours.get(name))) giveColour(name, besides);
  return colours.get(name) * (360 / HUES);
}

function hueOfAuthor(name) {
  const others = recentAuthors.filter((other) => other !== name);
  const hue = hueOf(name, others);
  recentAuthors = [name, ...others].slice(0, RECENT_AUTHORS);
  return hue;
}

// In the order in which they stand; the first and the last of a ring are neighbours, too.
function colourRing(names) {
  names.forEach((name, index) => hueOf(name, index === 0 ? [] : [names[index - 1], ...(index === names.length - 1 ? [names[0]] : [])]));
}

const initialOf = (name) => [...name][0].toUpperCase();

function showMembers() {
  const names = [...members].sort((a, b) => (b === me) - (a === me) || a.localeCompare(b));
  const count = names.length + othersUnnamed;
  colourRing(names);
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

const calm = matchMedia('(prefers-reduced-motion: reduce)');
function pulse(name) {
  if (document.hidden || calm.matches || $('ring').getClientRects().length === 0) return;
  $('ring').querySelectorAll('.ring-wave').forEach((node) => node.remove());
  const wave = document.createElementNS('http://www.w3.org/2000/svg', 'circle');
  wave.setAttribute('class', 'ring-wave');
  wave.setAttribute('r', 88);
  wave.style.setProperty('--hue', hueOf(name));
  $('ring').prepend(wave);
  wave.animate([{ opacity: 0.8, transform: 'scale(.45)' }, { opacity: 0, transform: 'scale(1.12)' }], { duration: 1100, easing: 'ease-out' })
    .addEventListener('finish', () => wave.remove());
  for (const seat of $('ring').querySelectorAll('.seat')) {
    if (seat.dataset.name === name) seat.animate([{}, { transform: 'scale(1.28)', offset: 0.35 }, {}], { duration: 700, easing: 'ease-out' });
  }
}
