// usage: node folds.mjs BASEURL NOTEBOOK OUT.png
// Opens a notebook in JupyterLab with headless Chromium (lab.mjs), runs all cells, opens and closes the parts of the second cell's
// traceback with the mouse. Prints which parts of each cell are open and what text of them is to be seen, before and after, as JSON.
import { browse, open, outputs, runAll } from './lab.mjs';

const [, , base, notebook, picture] = process.argv;
const { page, problems, close } = await browse({ width: 1200, height: 1200 });
const parts = () => page.$$eval('.jp-Notebook .jp-CodeCell', cells => cells.map(c => [...c.querySelectorAll('details')].map(d => (
  { open: d.open, head: d.querySelector('summary').innerText, seen: [...d.querySelectorAll('pre')].filter(p => p.checkVisibility()).map(p => p.innerText).join('\n') }))));
const summary = n => page.locator('.jp-Notebook .jp-CodeCell').nth(1).locator('summary').nth(n);

try {
  await open(page, base, notebook);
  await runAll(page, 60000);
  await summary(0).waitFor({ timeout: 30000 });
  await page.waitForTimeout(500);
  const before = await parts();
  await summary(1).click();
  await summary(0).click();
  console.log(JSON.stringify({ before, after: await parts(), outputs: await outputs(page), problems }));
} finally {
  await page.screenshot({ path: picture });
  await close();
}
