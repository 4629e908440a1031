// usage: node jupyterlab.mjs BASEURL NOTEBOOK OUT.png
// Opens a notebook in JupyterLab with headless Chromium (lab.mjs), runs all cells, drags the first slider with the mouse, runs the
// last cell again, and prints what is to be seen as JSON.
import { browse, open, outputs, prompts, runAll } from './lab.mjs';

const [, , base, notebook, screenshot] = process.argv;
const { page, problems, close } = await browse({ width: 1280, height: 1500 });

try {
  await open(page, base, notebook);
  await runAll(page, 60000);
  const handle = await page.waitForSelector('.jp-OutputArea .noUi-handle', { timeout: 30000 });
  await page.waitForTimeout(500);
  const before = { outputs: await outputs(page), prompts: await prompts(page) };
  const box = await handle.boundingBox();
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width / 2 + 60, box.y + box.height / 2, { steps: 8 });
  await page.mouse.up();
  await page.waitForTimeout(1000);
  const readout = await page.$eval('.jp-OutputArea .widget-readout', e => e.textContent.trim());
  const ran = (await prompts(page)).at(-1);
  await page.click('.jp-Notebook .jp-CodeCell:last-of-type .jp-InputArea-editor >> nth=-1');
  await page.keyboard.press('Control+Enter');
  await page.waitForFunction(old => {
    const now = [...document.querySelectorAll('.jp-Notebook .jp-CodeCell')].at(-1)?.querySelector('.jp-InputPrompt')?.textContent ?? '';
    return now !== old && /\[\d+\]/.test(now);
  }, ran, { timeout: 30000 });
  await page.waitForTimeout(500);
  console.log(JSON.stringify({ before, readout, after: await outputs(page), problems }));
} finally {
  await page.screenshot({ path: screenshot });
  await close();
}
