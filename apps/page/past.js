// What the room remembers: when somebody comes, and when somebody comes back.

// What is heard waits until the past stands before it. Our own joining is where both meet.
function hold(ws, isBack) {
  held = { ws, isBack, known: position, lines: [], asked: false };
  position = null;
  held.timer = setTimeout(release, PAST_TIMEOUT_MS);
}

function hear(line) {
  if (held === null) {
    if (position) position = { epoch: position.epoch, seq: position.seq + 1, text: line };
    take(line);
    return;
  }
  held.lines.push(line);
  if (line === `${me} joined` && !held.asked) {
    held.asked = true;
    bringPast(held);
  }
  if (held !== null && held.lines.length > HELD_MAX) release();
}

async function bringPast(mine) {
  const past = await askPast(mine.known);
  if (held !== mine) return; // It took too long, or the connection is gone.
  const first = past === null ? null : whereLive(past.messages, mine.lines);
  if (first === null) {
    release();
    return;
  }
  const { known } = mine;
  const sameEpoch = known !== null && past.epoch === known.epoch;
  const before = past.messages.filter(({ seq }) => seq < first && !(sameEpoch && seq <= known.seq)).map(({ text }) => text);
  const said = before.filter((text) => typeof text === 'string' && parse(text).kind === 'said');
  if (mine.isBack) {
    const whole = sameEpoch && follows(past, known);
    if (known === null) enqueue({ event: 'You are back.' });
    else if (!whole) enqueue({ event: 'You were away, and messages are missing here.', away: true, trouble: true });
    else enqueue({ event: said.length === 0 ? 'You were away. Nothing was said.' : `You were away: ${said.length} ${said.length === 1 ? 'message' : 'messages'}`, away: true });
  }
  for (const line of mine.isBack && sameEpoch ? said : said.slice(-PAST_SHOWN_MAX)) enqueue({ line, past: true });
  position = { epoch: past.epoch, seq: first + mine.lines.length - 1, text: mine.lines.at(-1) };
  showHeld();
}

// Without a past, or without one that is known to fit.
function release() {
  if (held === null) return;
  if (held.isBack && held.known !== null) enqueue({ event: 'You were away, and messages are missing here.', away: true, trouble: true });
  else if (held.isBack) enqueue({ event: 'You are back. Messages sent meanwhile are not shown.' });
  showHeld();
}

function showHeld() {
  const { lines, isBack, timer } = held;
  clearTimeout(timer);
  held = null;
  const own = `${me} joined`;
  for (const line of lines) if (!isBack || line !== own) take(line);
}

// {epoch, messages, missing}: the last ones, or behind a position, with the message that stands there. null: there is nothing to ask.
async function askPast(known) {
  const messages = [];
  let query = known ? `since=${known.epoch}:${known.seq - 1}&limit=${PAST_PAGE}` : `limit=${PAST_ASKED}`;
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

// The number of the first message that was heard: what is remembered and what was heard must be the same texts from there on.
function whereLive(messages, lines) {
  const own = `${me} joined`;
  const joinedAt = lines.indexOf(own);
  for (let at = messages.length - 1; at >= 0; at -= 1) {
    if (messages[at].text !== own) continue;
    const first = messages[at].seq - joinedAt;
    const fits = ({ seq, text }) => seq < first || seq - first >= lines.length || (text ?? null) === lines[seq - first];
    if (messages.every(fits)) return first;
  }
  return null;
}

// Whether nothing is missing behind the message that was heard last. Its text is compared, too: a slow reader may have been made to skip some.
function follows(past, known) {
  const oldest = past.messages[0];
  if (oldest.seq === known.seq + 1) return true;
  return !past.missing && oldest.seq === known.seq && (oldest.text ?? null) === known.text;
}
