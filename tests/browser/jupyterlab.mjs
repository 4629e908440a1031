// usage: node jupyterlab.mjs BASEURL NOTEBOOK OUT.png
// Opens a notebook in JupyterLab (started with an empty token) with headless Chromium, runs all cells, drags the first
// slider with the mouse, runs the last cell again, and prints what is to be seen as JSON. NODE_MODULES names the folder
// that playwright-core is in, CHROMIUM the browser.
import { createRequire } from 'node:module';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

const require = createRequire(path.join(process.env.NODE_MODULES, 'x.js'));
const { chromium } = require('playwright-core');
const [, , base, notebook, screenshot] = process.argv;
const profile = fs.mkdtempSync(path.join(os.tmpdir(), 'lacus-chromium-'));
const flags = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];
const browser = await chromium.launchPersistentContext(profile, { executablePath: process.env.CHROMIUM, headless: true, viewport: { width: 1280, height: 1500 }, args: flags });
const page = browser.pages()[0] ?? await browser.newPage();
const problems = [];
page.on('pageerror', e => problems.push(String(e).slice(0, 300)));

const outputs = () => page.$$eval('.jp-Notebook .jp-CodeCell', cells => cells.map(c => c.querySelector('.jp-OutputArea')?.innerText ?? ''));
const prompts = () => page.$$eval('.jp-Notebook .jp-CodeCell', cells => cells.map(c => c.querySelector('.jp-InputPrompt')?.textContent ?? ''));
const done = () => page.waitForFunction(() => {
  const cells = [...document.querySelectorAll('.jp-Notebook .jp-CodeCell')];
  return cells.length && cells.every(c => /\[\d+\]/.test(c.querySelector('.jp-InputPrompt')?.textContent ?? ''));
}, { timeout: 60000 });

try {
  await page.goto(`${base}/lab/tree/${notebook}?reset`, { waitUntil: 'domcontentloaded' });
  await page.waitForSelector('.jp-Notebook .jp-CodeCell', { timeout: 90000 });
  await page.waitForFunction(() => /Idle/.test(document.querySelector('.jp-Notebook-ExecutionIndicator')?.getAttribute('data-status') ?? 'Idle'
    ) || document.querySelector('[data-status="idle"]'), { timeout: 60000 });
  await page.waitForTimeout(2000);
  await page.click('.jp-Notebook .jp-CodeCell >> nth=0');
  await page.click('text=Run >> nth=0');
  await page.click('text=Run All Cells >> nth=0');
  await done();
  const handle = await page.waitForSelector('.jp-OutputArea .noUi-handle', { timeout: 30000 });
  await page.waitForTimeout(500);
  const before = { outputs: await outputs(), prompts: await prompts() };
  const box = await handle.boundingBox();
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width / 2 + 60, box.y + box.height / 2, { steps: 8 });
  await page.mouse.up();
  await page.waitForTimeout(1000);
  const readout = await page.$eval('.jp-OutputArea .widget-readout', e => e.textContent.trim());
  const ran = (await prompts()).at(-1);
  await page.click('.jp-Notebook .jp-CodeCell:last-of-type .jp-InputArea-editor >> nth=-1');
  await page.keyboard.press('Control+Enter');
  await page.waitForFunction(old => {
    const now = [...document.querySelectorAll('.jp-Notebook .jp-CodeCell')].at(-1)?.querySelector('.jp-InputPrompt')?.textContent ?? '';
    return now !== old && /\[\d+\]/.test(now);
  }, ran, { timeout: 30000 });
  await page.waitForTimeout(500);
  console.log(JSON.stringify({ before, readout, after: await outputs(), problems }));
} finally {
  await page.screenshot({ path: screenshot });
  await browser.close();
  fs.rmSync(profile, { recursive: true, force: true });
}
