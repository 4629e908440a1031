// What the browser tests share: a Chromium of their own, a notebook opened in a JupyterLab that has no token, all its cells run.
// NODE_MODULES names the folder that playwright-core is in, CHROMIUM the browser.
import { createRequire } from 'node:module';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

const require = createRequire(path.join(process.env.NODE_MODULES, 'x.js'));
const { chromium } = require('playwright-core');
const flags = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];

// page: a tab; problems: what went wrong in its scripts; close() ends the browser
export async function browse(viewport) {
  const profile = fs.mkdtempSync(path.join(os.tmpdir(), 'lacus-chromium-'));
  const browser = await chromium.launchPersistentContext(profile, { executablePath: process.env.CHROMIUM, headless: true, viewport, args: flags });
  const page = browser.pages()[0] ?? await browser.newPage();
  const problems = [];
  page.on('pageerror', e => problems.push(String(e).slice(0, 300)));
  const close = async () => {
    await browser.close();
    fs.rmSync(profile, { recursive: true, force: true });
  };
  return { page, problems, close };
}

export const outputs = page => page.$$eval('.jp-Notebook .jp-CodeCell', cells => cells.map(c => c.querySelector('.jp-OutputArea')?.innerText ?? ''));
export const prompts = page => page.$$eval('.jp-Notebook .jp-CodeCell', cells => cells.map(c => c.querySelector('.jp-InputPrompt')?.textContent ?? ''));

export async function open(page, base, notebook) {
  await page.goto(`${base}/lab/tree/${notebook}?reset`, { waitUntil: 'domcontentloaded' });
  await page.waitForSelector('.jp-Notebook .jp-CodeCell', { timeout: 90000 });
  await page.waitForFunction(() => /\|\s*Idle/.test(document.querySelector('#jp-main-statusbar')?.innerText ?? ''), null, { timeout: 90000 });
  await page.waitForTimeout(2000);
}

// Run All, and wait until each code cell has its number
export async function runAll(page, timeout) {
  const ran = all => {
    const prompts = [...document.querySelectorAll('.jp-Notebook .jp-CodeCell .jp-InputPrompt')].map(p => p.textContent);
    return prompts.length && (all ? prompts.every(p => /\[\d+\]/.test(p)) : prompts.some(p => /\[[\d*]+\]/.test(p)));
  };
  for (let tries = 0; tries < 3; tries++) { // a front end that is not connected yet drops what it should run
    await page.click('.jp-Notebook .jp-CodeCell >> nth=0');
    await page.click('text=Run >> nth=0');
    await page.click('text=Run All Cells >> nth=0');
    if (await page.waitForFunction(ran, false, { timeout: 10000 }).then(() => true, () => false)) break;
  }
  await page.waitForFunction(ran, true, { timeout });
}
