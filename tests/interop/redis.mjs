// A redis-server for a test file, on a free port of the loopback interface, without a disk unless asked; ended by its process id.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { freePort } from './server.mjs';

const run = promisify(execFile);

export async function startRedis(args = [], { port } = {}) {
  port ??= await freePort();
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', 'redis-server', '--bind', '127.0.0.1', '--port', String(port), '--save', '',
    '--appendonly', 'no', ...args], { stdio: 'ignore' });
  const ended = once(child, 'exit');
  const auth = args.includes('--requirepass') ? ['-a', args[args.indexOf('--requirepass') + 1], '--no-auth-warning'] : [];
  const redis = {
    port,
    url: `redis://127.0.0.1:${port}`,
    child,
    ask: async (...words) => (await run('redis-cli', ['-p', String(port), ...auth, ...words])).stdout.trimEnd(),
    async kill(signal = 'SIGKILL') {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill(signal);
        await ended;
      }
    },
    // The ids of the connections that ringcast has: those with subscriptions, and those without.
    async clients(type) {
      const listed = await this.ask('client', 'list', 'type', type);
      return listed.split('\n').filter((line) => line !== '' && !line.includes('cmd=client|list')).map((line) => /id=(\d+)/.exec(line)[1]);
    },
  };
  for (const end = Date.now() + 10_000; ;) {
    const answer = await redis.ask('ping').catch(() => '');
    if (answer === 'PONG' ) return redis;
    if (Date.now() > end) throw new Error(`redis-server on port ${port} does not answer`);
    await sleep(20);
  }
}
