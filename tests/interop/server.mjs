// Starts ringcast-server for a test file on a free port of the loopback interface, and ends it by its process id.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), '../..');
export const program = process.env.RINGCAST_SERVER ?? path.join(root, 'build/release/ringcast-server');

// A sanitizer keeps what was freed and guards what is held: the memory of the process says nothing of the server's then.
export const memoryCounts = !process.env.RINGCAST_SANITIZER;

export async function freePort() {
  const probe = net.createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address();
  probe.close();
  await once(probe, 'close');
  return port;
}

// Runs the program to its end, for calls that are expected to refuse. Answers its exit status and what it said.
// `under` is a command that ends in running the program in its own place, for example ['prlimit', '--nofile=80'].
export async function runToEnd(args, { under = [], deadlineMs = 10_000 } = {}) {
  const child = launch(under, args);
  const timer = setTimeout(() => child.kill('SIGKILL'), deadlineMs);
  const said = collect(child);
  const [status, signal] = await once(child, 'close');
  clearTimeout(timer);
  return { status, signal, stdout: said.stdout.join(''), stderr: said.stderr.join('') };
}

// The kernel ends the program when this process dies, however it dies: a test that is killed leaves no server behind.
function launch(under, args) {
  const [command, ...rest] = ['setpriv', '--pdeathsig', 'KILL', '--', ...under, program, ...args];
  // A test that wants its members closed one after the other says so.
  return spawn(command, rest, { stdio: ['ignore', 'pipe', 'pipe'], env: { RINGCAST_DRAIN_SECONDS: '0', ...process.env } });
}

function collect(child) {
  const said = { stdout: [], stderr: [] };
  for (const stream of ['stdout', 'stderr']) child[stream].setEncoding('utf8').on('data', (text) => said[stream].push(text));
  return said;
}

// A running server: port, http and ws (the two forms of its address), child, stderr() and stop().
// `ready` is asked whether it is: a path, or a whole address where its own port would not answer.
export async function startServer(args = ['--shards', '2'], { port, under = [], ready = '/health/ready' } = {}) {
  port ??= await freePort();
  const child = launch(under, ['--listen', `127.0.0.1:${port}`, ...args]);
  const said = collect(child);
  const ended = once(child, 'exit');
  const server = {
    port,
    child,
    http: `http://127.0.0.1:${port}`,
    ws: `ws://127.0.0.1:${port}`,
    stderr: () => said.stderr.join(''),
    // Asks it to end and answers [exit status, signal]; a server that does not end in time is killed, which no test takes for 0.
    async stop(signal = 'SIGTERM', deadlineMs = 10_000) {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill(signal);
        const timer = setTimeout(() => child.kill('SIGKILL'), deadlineMs);
        await ended;
        clearTimeout(timer);
      }
      return [child.exitCode, child.signalCode];
    },
  };
  const deadline = Date.now() + 15_000;
  for (;;) {
    if (child.exitCode !== null || child.signalCode !== null) {
      throw new Error(`${program} ended with ${child.exitCode ?? child.signalCode} at its start: ${server.stderr()}`);
    }
    try {
      const answer = await fetch(new URL(ready, server.http), { headers: { Connection: 'close' } });
      await answer.arrayBuffer();
      if (answer.status === 200) return server;
    } catch {
      // Not listening yet.
    }
    if (Date.now() > deadline) {
      await server.stop();
      throw new Error(`${program} was not ready after 15 s: ${server.stderr()}`);
    }
    await sleep(20);
  }
}
