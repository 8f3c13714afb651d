/** What `sallyport --help` loads: the chunks that the command's bundle imports at once. The apps and the wire come with the command that needs them. */

import type { Metafile } from 'esbuild';
import type { Finding } from './finding.ts';

/** Parts of a path; what a command brings by `await import()`. */
const LATER =
  /^packages\/(control-plane|credentials|net|sidecar|store|telemetry)\/|node_modules\/(@grpc|@modelcontextprotocol|ajv|jose|pino)\//;

/** Inputs that are loaded with the output `entry` before it does anything. */
export function loadedAtStart({ outputs }: Pick<Metafile, 'outputs'>, entry: string): readonly string[] {
  const seen = new Set<string>();
  const follow = (path: string): void => {
    const output = outputs[path];
    if (output === undefined || seen.has(path)) return;
    seen.add(path);
    for (const { path: next, kind } of output.imports) if (kind === 'import-statement') follow(next);
  };
  follow(entry);
  return [...seen].flatMap((path) => Object.keys(outputs[path]?.inputs ?? {}));
}

export function checkStart(inputs: readonly string[]): readonly Finding[] {
  return inputs
    .filter((path) => LATER.test(path))
    .map((path) => ({
      where: path,
      what: 'is loaded by `sallyport --help`',
      why: 'one word of help should not take as long as starting a control plane',
      instead: '`await import()` in the run of the command that needs it',
    }));
}
