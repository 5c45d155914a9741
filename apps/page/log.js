// The conversation: what a text says, and how all that came is drawn at once.

// What a text says. A name may itself contain a colon or end in a word like `joined`, so known members are tried first.
function parse(line) {
  const colon = line.indexOf(': ');
  let author = null;
  for (let end = colon; end > 0 && end <= NAME_BYTES_MAX; end = line.indexOf(': ', end + 1)) {
    if (members.has(line.slice(0, end))) author = line.slice(0, end);
  }
  if (author !== null) return { kind: 'said', name: author, text: line.slice(author.length + 2) };
  const event = /^([^\n]+) (joined|left)$/.exec(line);
  if (event && (members.has(event[1]) || !event[1].includes(': '))) return { kind: event[2], name: event[1] };
  if (colon > 0) return { kind: 'said', name: line.slice(0, colon), text: line.slice(colon + 2) };
  return { kind: 'note', text: line };
}

function take(line) {
  if (line !== null) enqueue({ line });
}

function addEvent(text, trouble = false) {
  enqueue({ event: text, trouble });
}

function enqueue(item) {
  queue.push(item);
  if (queue.length >= HELD_MAX) draw(); // A tab that is not shown may be given no time to draw.
  if (drawTimer !== 0) return;
  const wait = document.hidden ? HIDDEN_DRAW_MS : drawnAt + pictureMs() - performance.now();
  drawTimer = setTimeout(() => (document.hidden ? draw() : requestAnimationFrame(draw)), Math.max(0, wait));
}

function pictureMs() {
  if (heardRate < BUSY_RATE) return 0;
  return heardRate < FLOOD_RATE ? BUSY_DRAW_MS : FLOOD_DRAW_MS;
}

// All that came since the last time, at once: the page is laid out once for it, however much it is.
function draw() {
  clearTimeout(drawTimer);
  drawTimer = 0;
  const items = queue;
  queue = [];
  if (items.length === 0 || $('hall').hidden) return;
  const now = performance.now();
  heardRate = heardRate * Math.exp((drawnAt - now) / 1000) + items.length;
  drawnAt = now;
  const entries = [];
  let membersChanged = false;
  let fromOthers = 0;
  let fromMe = false;
  let speaker = null;
  for (const item of items) {
    const what = item.event === undefined ? parse(item.line) : { kind: 'event' };
    if (what.kind === 'said') {
      entries.push(messageMaker(what.name, what.text, item.past));
      fromMe ||= what.name === me && !item.past;
      if (what.name !== me && !item.past) fromOthers += 1;
      if (!item.past) speaker = what.name;
    } else if (what.kind === 'joined' || what.kind === 'left') {
      membersChanged = true;
      const text = what.kind === 'joined' ? comes(what.name) : goes(what.name);
      if (text) entries.push(eventMaker({ event: text }));
    } else {
      entries.push(eventMaker(what.kind === 'note' ? { event: what.text } : item));
    }
  }
  if (membersChanged) showMembers();
  append(entries, fromMe);
  if (document.hidden || !atEnd) missed += fromOthers;
  showMissed();
  if (speaker !== null && heardRate < BUSY_RATE) pulse(speaker);
}

// Somebody joined: the text of the line that says so, or none for one who only reloaded.
function comes(name) {
  members.add(name);
  if (leaving.has(name)) {
    clearTimeout(leaving.get(name));
    leaving.delete(name);
    return '';
  }
  return name === me ? 'You joined' : `${name} joined`;
}

// The name stays, and nothing is said, until it is clear that it will not be back at once.
function goes(name) {
  clearTimeout(leaving.get(name));
  leaving.set(name, setTimeout(() => {
    leaving.delete(name);
    members.delete(name);
    showMembers();
    addEvent(`${name} left`);
  }, LEAVE_DELAY_MS));
  return '';
}

function element(tag, className, ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...children);
  return node;
}

const clock = new Intl.DateTimeFormat([], { hour: '2-digit', minute: '2-digit' });
let clockMinute = 0;
let clockText = '';
function timeEntry(at) {
  if (Math.floor(at / 60000) !== clockMinute) {
    clockMinute = Math.floor(at / 60000);
    clockText = clock.format(at);
  }
  const time = element('time', '', clockText);
  time.dateTime = new Date(at).toISOString();
  return time;
}

// What makes the entry of a message. All that depends on its neighbours is decided now.
function messageMaker(name, text, past) {
  const opens = name !== lastAuthor;
  lastAuthor = name;
  const hue = hueOfAuthor(name);
  const at = past ? 0 : Date.now(); // The server does not say when something was said.
  return () => {
    const face = element('span', 'face', initialOf(name));
    face.setAttribute('aria-hidden', 'true');
    const by = element('span', 'by', element('b', '', name));
    if (at !== 0) by.append(timeEntry(at));
    const entry = element('div', `said${opens ? ' opens' : ''}${name === me ? ' mine' : ''}`, by, face, element('span', 'words', ...withLinks(text)));
    entry.style.setProperty('--hue', hue);
    return entry;
  };
}

function eventMaker({ event, trouble, away }) {
  lastAuthor = null;
  return () => element('p', `event${trouble ? ' trouble' : ''}${away ? ' away' : ''}`, event);
}

// The text, in which each http:// and https:// address is a link. What ends a sentence is no part of an address, and a bracket only if it was
// opened within.
function withLinks(text) {
  if (!text.includes('://')) return [text];
  const parts = [];
  let from = 0;
  for (const found of text.matchAll(/\bhttps?:\/\/[^\s<>"]+/gi)) {
    let address = found[0];
    for (;;) {
      const last = address.at(-1);
      const opener = { ')': '(', ']': '[', '}': '{' }[last];
      const isOpened = opener && address.split(opener).length >= address.split(last).length;
      if (!/[.,;:!?'’”)\]}]/.test(last) || isOpened) break;
      address = address.slice(0, -1);
    }
    if (!URL.canParse(address) || !/^https?:$/.test(new URL(address).protocol)) continue;
    const link = element('a', '', address);
    link.href = address;
    link.target = '_blank';
    link.rel = 'noopener noreferrer';
    parts.push(text.slice(from, found.index), link);
    from = found.index + address.length;
  }
  return [...parts, text.slice(from)];
}

// Follows the conversation only for a reader who is at its end; one who reads back is told that there is more. Entries stand in groups: what is
// added lays out the last group alone. Of a flood, what is not in sight is made when it comes into sight.
function append(makers, fromMe) {
  const log = $('log');
  const kept = makers.slice(-ENTRIES_MAX);
  const now = kept.splice(kept.length < FLOOD_ENTRIES ? 0 : -Math.ceil((1.5 * log.clientHeight) / ENTRY_PX_MIN));
  for (; kept.length > 0; log.append(laterGroup(kept.splice(0, GROUP_ENTRIES))));
  for (const make of now) {
    let group = log.lastElementChild;
    if (group === null || unmade.has(group) || group.childElementCount >= GROUP_ENTRIES) {
      group = element('div', 'group');
      log.append(group);
    }
    group.append(make());
  }
  while (log.childElementCount > ENTRIES_MAX / GROUP_ENTRIES + 1) forget(log.firstElementChild);
  if (atEnd || fromMe) {
    atEnd = true;
    log.scrollTop = log.scrollHeight;
  }
}

const unmade = new Map(); // group -> what makes its entries
const sight = new IntersectionObserver((seen) => {
  for (const { isIntersecting, target } of seen) if (isIntersecting) makeGroup(target);
}, { root: $('log'), rootMargin: '50% 0%' });

function laterGroup(makers) {
  const group = element('div', 'group');
  group.style.setProperty('--entries', makers.length); // How high it is about.
  unmade.set(group, makers);
  sight.observe(group);
  return group;
}

function makeGroup(group) {
  const makers = unmade.get(group) ?? [];
  unmade.delete(group);
  sight.unobserve(group);
  group.append(...makers.map((make) => make()));
  if (atEnd) $('log').scrollTop = $('log').scrollHeight; // It is not as high as it was thought to be.
}

function forget(group) {
  unmade.delete(group);
  sight.unobserve(group);
  group.remove();
}

function showMissed() {
  if (atEnd && !document.hidden) missed = 0;
  $('newer').hidden = atEnd || missed === 0;
  if (missed > 0) $('newer').textContent = `${missed} new ${missed === 1 ? 'message' : 'messages'} ↓`;
  setTitle();
}

function setTitle() {
  const title = `${missed > 0 ? `(${missed}) ` : ''}${room} · ringcast`;
  if (document.title !== title) document.title = title;
}

function lookWhere() {
  const log = $('log');
  const isAtEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  if (isAtEnd === atEnd) return;
  atEnd = isAtEnd;
  showMissed();
}
$('log').addEventListener('scroll', lookWhere, { passive: true });
// A window that gets smaller, or a keyboard that opens, leaves a reader at the end there.
new ResizeObserver(() => { if (atEnd) $('log').scrollTop = $('log').scrollHeight; }).observe($('log'));
$('newer').addEventListener('click', () => {
  atEnd = true;
  $('log').scrollTop = $('log').scrollHeight;
  showMissed();
  $('text').focus();
});
