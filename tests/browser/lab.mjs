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
  await page.waitForFunction(() => /Idle/.test(document.querySelector('.jp-Notebook-ExecutionIndicator')?.getAttribute('data-status') ?? 'Idle'
    ) || document.querySelector('[data-status="idle"]'), null, { timeout: 60000 });
  await page.waitForTimeout(2000);
}

// Run All, and wait until each code cell has its number
export async function runAll(page, timeout) {
  await page.click('.jp-Notebook .jp-CodeCell >> nth=0');
  await page.click('text=Run >> nth=0');
  await page.click('text=Run All Cells >> nth=0');
  await page.waitForFunction(() => {
    const cells = [...document.querySelectorAll('.jp-Notebook .jp-CodeCell')];
    return cells.length && cells.every(c => /\[\d+\]/.test(c.querySelector('.jp-InputPrompt')?.textContent ?? ''));
  }, null, { timeout });
}
