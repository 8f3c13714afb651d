/** promtool, which checks alert rules and metrics text; it comes with Debian's prometheus package. Optional everywhere. */

import { firstLine, run, type Running } from './running.ts';

export async function startPromtool(): Promise<Running> {
  const version = await run({ file: 'promtool', args: ['--version'] });
  return { detail: firstLine(version), address: '', stop: () => Promise.resolve() };
}
