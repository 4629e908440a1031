// usage: node debugger.mjs BASEURL NOTEBOOK OUT.png
// Opens a notebook in JupyterLab with headless Chromium (lab.mjs), turns the debugger on, sets a breakpoint with a click beside a line
// of the first cell, runs the cell, looks at what has stopped, steps and goes on with the panel's buttons, restarts the kernel and
// stops at the same breakpoint again, and prints what is to be seen as JSON.
import { browse, open, outputs } from './lab.mjs';

const [, , base, notebook, screenshot] = process.argv;
const { page, problems, close } = await browse({ width: 1200, height: 720 });
const seen = {};

const stack = () => page.$$eval('.jp-DebuggerCallstackFrame', rows => rows.map(r => r.textContent.trim()));
const variables = () => page.$$eval('.jp-DebuggerVariables-body jp-tree-item', rows => rows.map(r => r.textContent.trim().replace(/\s+/g, ' ')));
const press = name => page.click(`.jp-DebuggerSidebar [data-jp-item-name="${name}"] jp-button`);
const stoppedAt = line => page.waitForFunction(n => [...document.querySelectorAll('.jp-DebuggerCallstackFrame')].some(r => r.textContent.includes(`:${n}`) || r.textContent.trim().endsWith(String(n))),
  line, { timeout: 20000 });

try {
  await open(page, base, notebook);
  await page.keyboard.press('Control+b');
  for (const no of await page.getByRole('button', { name: 'No', exact: true }).all()) await no.click();
  await page.click('.jp-DebuggerBugButton');
  await page.waitForSelector('.jp-DebuggerSidebar', { timeout: 20000 });
  await page.waitForSelector('.jp-Notebook .cm-breakpoint-gutter .cm-gutterElement', { state: 'attached', timeout: 20000 });
  const line = page.locator('.jp-Notebook .jp-CodeCell >> nth=0').locator('.cm-lineNumbers .cm-gutterElement', { hasText: /^3$/ });
  const box = await line.boundingBox();
  const gutter = await page.locator('.jp-Notebook .jp-CodeCell >> nth=0').locator('.cm-gutter.cm-breakpoint-gutter').boundingBox();
  await page.mouse.click(gutter.x + gutter.width / 2, box.y + box.height / 2);
  await page.waitForSelector('.jp-DebuggerBreakpoint', { timeout: 20000 });
  seen.breakpoints = await page.$$eval('.jp-DebuggerBreakpoint', rows => rows.map(r => r.textContent.trim()));
  await page.click('.jp-Notebook .jp-CodeCell >> nth=0 >> .cm-content');
  await page.keyboard.press('Shift+Enter');
  await stoppedAt(3);
  await page.waitForTimeout(1500);
  seen.stack = await stack();
  await page.locator('.jp-DebuggerVariables-body jp-tree-item', { hasText: 'sides' }).first().locator('.expand-collapse-button').first().click();
  await page.waitForTimeout(1000);
  seen.variables = await variables();
  await page.screenshot({ path: screenshot });
  await press('step-over');
  await stoppedAt(4);
  await page.waitForTimeout(500);
  seen.stepped = { stack: await stack(), variables: await variables() };
  await press('continue');
  await page.waitForFunction(() => /42/.test(document.querySelector('.jp-Notebook .jp-OutputArea')?.innerText ?? ''), null, { timeout: 20000 });
  seen.outputs = await outputs(page);
  await page.click('.lm-MenuBar-itemLabel:text-is("Kernel")'); // after a restart the front end sets its breakpoints again
  await page.click('.lm-Menu-itemLabel:text-matches("^Restart Kernel…$")');
  await page.click('.jp-Dialog button:has-text("Restart")');
  await page.waitForTimeout(3000);
  await page.click('.jp-Notebook .jp-CodeCell >> nth=0 >> .cm-content');
  await page.keyboard.press('Shift+Enter');
  await stoppedAt(3);
  await page.waitForTimeout(500);
  seen.restarted = await stack();
  await press('continue');
  await page.waitForFunction(() => document.querySelectorAll('.jp-DebuggerCallstackFrame').length === 0, null, { timeout: 20000 });
  seen.problems = problems;
  console.log(JSON.stringify(seen));
} catch (e) {
  await page.screenshot({ path: screenshot });
  console.error(String(e), JSON.stringify(seen), await page.evaluate(() => document.querySelector('.jp-DebuggerSidebar')?.innerText ?? ''));
  process.exitCode = 1;
} finally {
  await close();
}
