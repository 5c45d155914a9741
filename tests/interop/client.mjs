// Starts the mirror client (mirror_client.cpp) for a test file, reads its events, and ends it by its process id.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import readline from 'node:readline';
import { fileURLToPath } from 'node:url';

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), '../..');
const program = process.env.RINGCAST_CLIENT ?? path.join(root, 'build/release/interop-client');
const DEADLINE_MS = 15_000;
export const faces = ['event', 'coroutine'];

export function startClient(url, args = [], { env = {} } = {}) {
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', program, url, ...args],
    { stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, ...env } });
  const events = [];
  let stderr = '';
  let wake = () => {};
  child.stderr.setEncoding('utf8').on('data', (text) => { stderr += text; });
  readline.createInterface({ input: child.stdout }).on('line', (line) => { events.push(JSON.parse(line)); wake(); });
  const ended = once(child, 'close').then(([status]) => { wake(); return status; });
  let read = 0;
  return {
    events,
    stderr: () => stderr,
    say: (line) => child.stdin.write(`${line}\n`),
    // The next event, whatever it is; a test that waits for another one fails with both.
    async next(wanted) {
      const deadline = Date.now() + DEADLINE_MS;
      while (read === events.length) {
        if (Date.now() > deadline || child.exitCode !== null) {
          throw new Error(`no event ${wanted}; there were ${JSON.stringify(events)} ${stderr}`);
        }
        await new Promise((resolve) => { const timer = setTimeout(resolve, 200); wake = () => { clearTimeout(timer); resolve(); }; });
      }
      const event = events[read++];
      if (wanted !== undefined && event.event !== wanted) throw new Error(`${wanted} was expected: ${JSON.stringify(event)}`);
      return event;
    },
    // Ends standard input, which stops the client; answers its exit status.
    async stop() {
      child.stdin.end();
      const timer = setTimeout(() => child.kill('SIGKILL'), DEADLINE_MS);
      const status = await ended;
      clearTimeout(timer);
      return status;
    },
  };
}
