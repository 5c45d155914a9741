// --- Doing something: it is asked for first, and carries a word that pages of other sites cannot read -----------------------------------

let token = null;
let asked = null; // What is done when the person says yes.

function forgetToken() {
  token = null;
}

// The word is another one after a restart, so a refusal is worth one more try.
async function act(target, options) {
  for (let tries = 0; ; tries += 1) {
    token ??= (await ask('admin/token')).token;
    try {
      return await ask(target, { ...options, headers: { ...options.headers, 'X-Ringcast-Admin': token } });
    } catch (error) {
      if (error.status !== 403 || tries > 0) throw error;
      forgetToken();
    }
  }
}

function askFirst({ title, text, quote, yes, kind, run }) {
  asked = run;
  $('ask').dataset.kind = kind;
  $('ask-title').textContent = title;
  $('ask-text').textContent = text;
  $('ask-quote').textContent = quote ?? '';
  $('ask-quote').hidden = quote === undefined;
  $('ask-how').hidden = kind !== 'close';
  $('ask-fault').textContent = '';
  $('ask-yes').textContent = yes;
  $('ask-yes').disabled = false;
  $('ask').showModal();
  $('ask-no').focus();
}

const how = () => `code=${$('ask-code').value}${$('ask-reason').value ? `&reason=${encodeURIComponent($('ask-reason').value)}` : ''}`;

function askToCloseConnection(of) {
  const name = of.name ?? of.user;
  askFirst({ kind: 'close', title: 'Close this connection?', yes: 'Close connection',
    text: `${name ? `${name} at ` : ''}${of.address}${of.rooms.length > 0 ? `, in ${of.rooms.slice(0, 3).join(', ')}` : ''}. A client may come back at once.`,
    run: async () => {
      await act(`connections/${of.id}?${how()}`, { method: 'DELETE' });
      return `The connection of ${name ?? of.address} is closed.`;
    } });
}

function askToCloseRoom(name) {
  askFirst({ kind: 'close', title: 'Close this room?', yes: 'Close room', quote: name,
    text: 'All its members are closed, whatever other rooms they sit in. They may come back at once.',
    run: async () => {
      const { closed } = await act(`rooms/${encodeURIComponent(name)}?${how()}`, { method: 'DELETE' });
      return `${people(closed, 'member was', 'members were')} closed.`;
    } });
}

function askToPublish(name, text) {
  askFirst({ kind: 'publish', title: `Publish to ${name}?`, text: 'Every member of this room hears:', quote: text, yes: 'Publish',
    run: async () => {
      const body = { method: 'POST', body: text, headers: { 'Content-Type': 'text/plain; charset=utf-8' } };
      const target = `rooms/${encodeURIComponent(name)}/messages`;
      const report = state.actions ? await act(target, body) : await ask(target, body);
      if (roomOpen === name) $('publish-text').value = '';
      return `Queued for ${report.queued} of ${people(report.members, 'member', 'members')}.`;
    } });
}

$('ask-form').addEventListener('submit', async (event) => {
  event.preventDefault();
  if ($('ask-yes').disabled) return; // It is under way.
  const run = asked;
  $('ask-yes').disabled = true;
  $('ask-fault').textContent = '';
  try {
    const said = await run();
    if (run === asked) $('ask').close();
    tell(said);
    askNow();
  } catch (error) {
    if (run !== asked) return;
    $('ask-yes').disabled = false;
    $('ask-fault').textContent = error.status ? error.message : 'The server does not answer.';
  }
});
$('ask-no').addEventListener('click', () => $('ask').close());
$('ask').addEventListener('close', () => { asked = null; });
