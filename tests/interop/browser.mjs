// Debian's Chromium, headless, with a user folder of its own that is removed afterwards. It asks nobody on the network.
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { chromium } from 'playwright-core';

const FLAGS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage', '--no-proxy-server',
];

// openBrowser(contextOptions) answers a browser context with close(); its pages share storage, as two tabs do.
export async function openBrowser(contextOptions = {}) {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'ringcast-browser-'));
  const context = await chromium.launchPersistentContext(folder, {
    executablePath: process.env.RINGCAST_CHROMIUM ?? '/usr/bin/chromium', headless: true, args: FLAGS, ...contextOptions,
  });
  return {
    context,
    async close() {
      await context.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

// Fills the door's form and waits until the room is open.
export async function joinRoom(page, address, room, name) {
  await page.goto(`${address}/#${encodeURIComponent(room)}`);
  await page.getByLabel('Your name').fill(name);
  await page.getByRole('button', { name: 'Join' }).click();
  await page.getByRole('log').waitFor();
}
