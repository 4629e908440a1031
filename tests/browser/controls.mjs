// usage: node controls.mjs BASEURL NOTEBOOK OUT.png
// Opens a notebook in JupyterLab with headless Chromium (lab.mjs): a cell that never ends is interrupted with the toolbar's button, the
// next one sees the state, Tab completes, Shift+Tab explains, a restart forgets. Prints what is to be seen as JSON.
import { browse, open, outputs } from './lab.mjs';

const [, , base, notebook, screenshot] = process.argv;
const { page, problems, close } = await browse({ width: 1200, height: 900 });
const seen = {};
const cell = i => `.jp-Notebook .jp-CodeCell >> nth=${i}`;
const prompt = i => page.locator(cell(i)).locator('.jp-InputPrompt').first().textContent();

async function run(i, done = /\[\d+\]/) {
  const before = await prompt(i);
  await page.click(`${cell(i)} >> .cm-content`);
  await page.keyboard.press('Control+Enter');
  await page.waitForFunction(([n, old, want]) => {
    const now = document.querySelectorAll('.jp-Notebook .jp-CodeCell')[n].querySelector('.jp-InputPrompt').textContent;
    return now !== old && new RegExp(want).test(now);
  }, [i, before, done.source], { timeout: 30000 });
}

try {
  await open(page, base, notebook);
  await run(0);
  await run(1, /\[\*\]/);
  await page.waitForFunction(() => /looping/.test(document.querySelectorAll('.jp-Notebook .jp-CodeCell')[1].querySelector('.jp-OutputArea-output')?.innerText ?? ''), null, { timeout: 20000 });
  await page.click('[data-command="notebook:interrupt-kernel"], [data-jp-item-name="interrupt"] jp-button');
  await page.waitForFunction(() => /\[\d+\]/.test(document.querySelectorAll('.jp-Notebook .jp-CodeCell')[1].querySelector('.jp-InputPrompt').textContent), null, { timeout: 20000 });
  await run(2);
  seen.interrupted = await outputs(page);
  await page.click(`${cell(3)} >> .cm-content`);
  await page.keyboard.type('string.up');
  await page.keyboard.press('Tab');
  await page.waitForFunction(() => [...document.querySelectorAll('.jp-Notebook .jp-CodeCell')].at(3).querySelector('.cm-content').textContent.includes('string.upper') ||
    document.querySelector('.jp-Completer-item'), null, { timeout: 20000 });
  if (await page.$('.jp-Completer-item')) await page.keyboard.press('Enter');
  await page.waitForTimeout(300);
  seen.completed = await page.locator(cell(3)).locator('.cm-content').textContent();
  await page.keyboard.type('(');
  await page.keyboard.press('Shift+Tab');
  await page.waitForSelector('.jp-Tooltip-content', { timeout: 20000 });
  seen.tooltip = await page.$eval('.jp-Tooltip-content', e => e.textContent);
  await page.screenshot({ path: screenshot });
  await page.keyboard.press('Escape');
  await page.click('.lm-MenuBar-itemLabel:text-is("Kernel")');
  await page.click('.lm-Menu-itemLabel:text-matches("^Restart Kernel…$")');
  await page.click('.jp-Dialog button:has-text("Restart")');
  await page.waitForTimeout(2000);
  await run(2);
  seen.restarted = await outputs(page);
  seen.problems = problems;
  console.log(JSON.stringify(seen));
} catch (e) {
  await page.screenshot({ path: screenshot });
  throw e;
} finally {
  await close();
}
