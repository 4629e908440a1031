// usage: node closed.mjs BASEURL NOTEBOOK OUT.png
// Opens a notebook that was run elsewhere in JupyterLab with headless Chromium (lab.mjs), runs nothing, and prints as JSON what its controls show.
import { browse, open, outputs } from './lab.mjs';

const [, , base, notebook, picture] = process.argv;
const { page, problems, close } = await browse({ width: 1200, height: 900 });

try {
  await open(page, base, notebook);
  await page.locator('.jp-OutputArea .noUi-handle').first().waitFor({ timeout: 30000 });
  await page.waitForTimeout(1000);
  console.log(JSON.stringify({ readout: await page.locator('.widget-readout').first().innerText(), outputs: await outputs(page), problems }));
} finally {
  await page.screenshot({ path: picture });
  await close();
}
