// Debian's nginx and HAProxy in front of a server, with what the README says of them, and the addresses of a test in place of its own.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), '../..');

// The README's blocks of this language, in their order.
export function printed(language) {
  const readme = readFileSync(path.join(root, 'README.md'), 'utf8');
  return [...readme.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\`$`, 'gms'))].map(([, text]) => text);
}

// Every place that a test has to say otherwise stands in the text, or the test says so.
export function put(text, places) {
  for (const [printedAs, here] of Object.entries(places)) {
    assert.ok(text.includes(printedAs), `the README does not say ${printedAs} any more`);
    text = text.replaceAll(printedAs, here);
  }
  return text;
}

async function front(folder, command, port) {
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', ...command], { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` } });
  const said = [];
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => said.push(text));
  for (let i = 0; i < 500 && child.exitCode === null; i += 1) {
    const socket = net.connect(port, '127.0.0.1');
    const [there] = await Promise.race([once(socket, 'connect').then(() => [true]), once(socket, 'error').then(() => [false])]).catch(() => [false]);
    socket.destroy();
    if (there) {
      return {
        port,
        async stop() {
          if (child.exitCode === null && child.signalCode === null) {
            child.kill('SIGTERM');
            await once(child, 'exit');
          }
          rmSync(folder, { recursive: true });
        },
      };
    }
    await sleep(20);
  }
  throw new Error(`${command[0]} did not begin to serve: ${said.join('')}`);
}

// `http`: what stands inside of http { }.
export function startNginx(http, port, { workerConnections = 1024 } = {}) {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'ringcast-nginx-'));
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${folder}/${name};`).join(' ');
  writeFileSync(path.join(folder, 'nginx.conf'), `daemon off; master_process off; pid ${folder}/pid; error_log stderr;
    worker_rlimit_nofile ${workerConnections + 64};
    events { worker_connections ${workerConnections}; }
    http { access_log off; ${temporary}
      ${http}
    }`);
  return front(folder, ['nginx', '-e', 'stderr', '-p', folder, '-c', `${folder}/nginx.conf`], port);
}

export function startHaproxy(sections, port) {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'ringcast-haproxy-'));
  writeFileSync(path.join(folder, 'haproxy.cfg'), `global\n  maxconn 1000\n${sections}`);
  return front(folder, ['haproxy', '-db', '-f', `${folder}/haproxy.cfg`], port);
}
