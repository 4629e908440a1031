// usage: node widgets.mjs BASEURL NOTEBOOK OUT.png
// Opens a notebook of controls in JupyterLab with headless Chromium (lab.mjs), runs all cells, moves the first slider of cell 0 with the
// mouse, types, chooses and clicks in cell 1, then runs the last cell, which sets the slider from Lua. Prints what is to be seen as JSON.
import { browse, open, outputs, prompts, runAll } from './lab.mjs';

const [, , base, notebook, picture] = process.argv;
const { page, problems, close } = await browse({ width: 1200, height: 6000 });
const cell = n => page.locator('.jp-Notebook .jp-CodeCell').nth(n);
const count = (n, selector) => cell(n).locator(selector).count();
const readout = () => cell(0).locator('.widget-readout').first().innerText();
const label = n => cell(n).locator('.widget-label >> nth=-1').innerText();

try {
  await open(page, base, notebook);
  await page.keyboard.press('Control+b');
  await runAll(page, 120000);
  await cell(0).locator('.noUi-handle').first().waitFor({ timeout: 30000 });
  await page.waitForTimeout(3000);
  const before = { readout: await readout(), outputs: await outputs(page) };
  const box = await cell(0).locator('.noUi-handle').first().boundingBox();
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width / 2 + 60, box.y + box.height / 2, { steps: 8 });
  await page.mouse.up();
  await page.waitForTimeout(1000);
  const moved = { readout: await readout(), label: await label(0) };
  await cell(1).locator('.widget-text input').first().fill('typed');
  await cell(1).locator('.widget-dropdown select').first().selectOption({ label: 'two' });
  await cell(1).locator('.widget-checkbox input').first().click();
  await cell(1).locator('button.widget-button').first().click();
  await page.waitForTimeout(800);
  const chosen = await label(1);
  const drawn = { charts: await count(3, 'canvas, svg.marks'), tables: await count(4, 'table'), bold: await count(4, 'b#bold'), formula: await count(4, 'mjx-container, .MathJax'),
    json: await count(4, '.jp-RenderedJSON'), image: await count(4, 'img'), drawing: await count(4, 'svg circle, .jp-RenderedSVG img'), interact: await count(2, '.widget-interact canvas, .widget-interact svg.marks'),
    bars: await count(5, 'progress') };
  const parameters = await count(6, 'input, select, .noUi-handle');
  const ran = (await prompts(page)).at(-1);
  await page.click('.jp-Notebook .jp-CodeCell:last-of-type .jp-InputArea-editor >> nth=-1');
  await page.keyboard.press('Control+Enter');
  await page.waitForFunction(old => {
    const now = [...document.querySelectorAll('.jp-Notebook .jp-CodeCell')].at(-1)?.querySelector('.jp-InputPrompt')?.textContent ?? '';
    return now !== old && /\[\d+\]/.test(now);
  }, ran, { timeout: 30000 });
  await page.waitForTimeout(500);
  console.log(JSON.stringify({ before, moved, chosen, drawn, parameters, after: { readout: await readout(), outputs: await outputs(page) }, problems,
    errors: await page.locator('[data-mime-type="application/vnd.jupyter.error"]').count() }));
  await page.setViewportSize({ width: 1200, height: 2080 });
  for (const no of await page.getByRole('button', { name: 'No', exact: true }).all()) await no.click();
  await page.$eval('.jp-WindowedPanel-outer', e => { e.scrollTop = 0; });
  await page.waitForTimeout(1500);
} finally {
  await page.screenshot({ path: picture });
  await close();
}
