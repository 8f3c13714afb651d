/** Chromium from the PATH, headless: renders one page without network and gives its DOM back. */

import { firstLine, ownDirectory, run, type Running } from './running.ts';

/** No network of its own, no first-run pages, no sandbox (tests may run as root in a container). */
export const CHROMIUM_FLAGS: readonly string[] = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-dev-shm-usage',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

export async function startChromium(): Promise<Running> {
  const directory = await ownDirectory('chromium');
  try {
    const version = await run({ file: 'chromium', args: ['--version', '--no-sandbox'] });
    const page = 'data:text/html,<title>sallyport</title><p id=made></p><script>made.textContent=6*7</script>';
    const dom = await run({ file: 'chromium', args: [...CHROMIUM_FLAGS, `--user-data-dir=${directory.path}`, '--dump-dom', page] });
    if (!dom.includes('<p id="made">42</p>')) throw new Error(`chromium rendered \`${firstLine(dom)}\` instead of the page`);
    return { detail: version.trim(), address: '', stop: () => Promise.resolve() };
  } finally {
    await directory.remove();
  }
}
