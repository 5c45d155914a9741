// What the room remembers: when somebody comes, and when somebody comes back. The server says first which message was the newest when one joined: the past
// ends with it, and what is heard begins behind it.

// What is heard waits until the past stands before it.
function hold(ws, isBack) {
  held = { ws, isBack, known: position, lines: [] };
  position = null;
  held.timer = setTimeout(release, PAST_TIMEOUT_MS);
}

// A text is its number, a line feed and itself; the first has no number, and says where one joined. A binary message has its number in 8 bytes.
function hear(data) {
  const isText = typeof data === 'string';
  if (isText && data.startsWith('{')) {
    const { epoch, seq } = JSON.parse(data);
    position = { epoch, seq };
    if (held !== null) bringPast(held, position.seq);
    return;
  }
  const end = isText ? data.indexOf('\n') : 0;
  const seq = isText ? Number(data.slice(0, end)) : Number(new DataView(data).getBigUint64(0));
  const line = isText ? data.slice(end + 1) : null;
  if (position !== null) position.seq = seq;
  if (held === null) {
    take(line);
    return;
  }
  held.lines.push(line);
  if (held.lines.length > HELD_MAX) release();
}

async function bringPast(mine, joinedAt) {
  const past = await askPast(mine.known);
  if (held !== mine) return; // It took too long, or the connection is gone.
  if (past === null || past.epoch !== position.epoch) {
    release();
    return;
  }
  const { known } = mine;
  const sameEpoch = known !== null && past.epoch === known.epoch;
  const before = past.messages.filter(({ seq }) => seq <= joinedAt).map(({ text }) => text);
  const said = before.filter((text) => typeof text === 'string' && parse(text).kind === 'said');
  if (mine.isBack) {
    // One's own leaving was said meanwhile, so a server that keeps anything has something.
    if (known === null || past.messages.length === 0) enqueue({ event: 'You are back. Messages sent meanwhile are not shown.' });
    else if (!sameEpoch || past.missing) enqueue({ event: 'You were away, and messages are missing here.', away: true, trouble: true });
    else enqueue({ event: said.length === 0 ? 'You were away. Nothing was said.' : `You were away: ${said.length} ${said.length === 1 ? 'message' : 'messages'}`, away: true });
  }
  for (const line of mine.isBack && sameEpoch ? said : said.slice(-PAST_SHOWN_MAX)) enqueue({ line, past: true });
  showHeld();
}

// Without a past.
function release() {
  if (held === null) return;
  if (held.isBack) enqueue({ event: 'You were away, and messages are missing here.', away: true, trouble: true });
  showHeld();
}

function showHeld() {
  const { lines, isBack, timer } = held;
  clearTimeout(timer);
  held = null;
  const own = `${me} joined`;
  for (const line of lines) if (!isBack || line !== own) take(line);
}

// {epoch, messages, missing}: the last ones, or those behind a position. null: there is no answer.
async function askPast(known) {
  const messages = [];
  let query = known ? `since=${known.epoch}:${known.seq}&limit=${PAST_PAGE}` : `limit=${PAST_ASKED}`;
  let missing = false;
  try {
    for (let page = 0; page < PAST_PAGES_MAX; page += 1) {
      const answer = await fetch(here(withToken(`/rooms/${encodeURIComponent(room)}/messages?${query}`)), { cache: 'no-store', signal: AbortSignal.timeout(PAST_TIMEOUT_MS) });
      if (!answer.ok) return null;
      const said = await answer.json();
      messages.push(...said.messages);
      missing ||= said.missing;
      if (!known || !said.more) return { epoch: said.epoch, messages, missing };
      query = `since=${said.next}&limit=${PAST_PAGE}`;
    }
  } catch { /* As without a history. */ }
  return null;
}
