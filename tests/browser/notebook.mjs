// usage: node notebook.mjs BASEURL NOTEBOOK OUT.png [COLLAPSE…]
// Opens a notebook in JupyterLab with headless Chromium (lab.mjs), runs all cells, and prints what is to be seen as JSON: the text of
// each code cell's outputs, and how many controls, charts, tables and errors are in it. The window is then as high as the notebook, so that
// all of it is drawn. For the picture, a smaller window without the title, the named cells (0 is the first, of any type) are collapsed with
// JupyterLab's own bars, and the named heading's section.
import { browse, open, outputs, runAll } from './lab.mjs';

const [, , base, notebook, picture, ...collapse] = process.argv;
const { page, problems, close } = await browse({ width: 1200, height: 6000 });
const count = selector => page.$$eval('.jp-Notebook .jp-CodeCell', (cells, s) => cells.map(c => c.querySelectorAll(s).length), selector);

try {
  await open(page, base, notebook);
  await page.keyboard.press('Control+b');
  await runAll(page, 400000);
  await page.waitForTimeout(3000);
  console.log(JSON.stringify({ outputs: await outputs(page), controls: await count('.jp-OutputArea input, .jp-OutputArea select'),
    charts: await count('.jp-OutputArea canvas, .jp-OutputArea svg.marks'), tables: await count('.jp-OutputArea table'),
    errors: await count('[data-mime-type="application/vnd.jupyter.error"], [data-mime-type="application/vnd.jupyter.stderr"]'), problems }));
  for (const n of collapse) {
    const cell = page.locator(`.jp-Notebook .jp-Cell[data-windowed-list-index="${n}"]`);
    if (await cell.evaluate(e => e.classList.contains('jp-MarkdownCell')))
      await cell.locator('.jp-collapseHeadingButton').first().evaluate(e => e.click()); // shown under the mouse only
    else
      for (const bar of ['.jp-InputCollapser', '.jp-OutputCollapser'])
        if (await cell.locator(bar).first().isVisible()) await cell.locator(bar).first().click();
  }
  for (const no of await page.getByRole('button', { name: 'No', exact: true }).all()) await no.click();
  await page.setViewportSize({ width: 1200, height: 2030 });
  await page.waitForTimeout(500);
  await page.$eval('.jp-WindowedPanel-outer', e => { e.scrollTop += e.querySelector('h2').getBoundingClientRect().top - e.getBoundingClientRect().top - 10; });
  await page.waitForTimeout(1500);
} finally {
  await page.screenshot({ path: picture });
  await close();
}
