/**
 * Loaded before every script (`node --import`), in plain JavaScript, because a Node that is too old cannot even read
 * the TypeScript that would complain. On such a Node it runs the same command again on the Node that npm installed for
 * this repository. (npm 11 links that one as node_modules/.bin/node, and this file has nothing to do; npm 10, which
 * comes with Node 20, removes the link again when it skips the packages for other platforms.) docs/adr/0002-runtime-from-npm.md.
 */

import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { delimiter, dirname, join } from 'node:path';

const FLOOR = 24;
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'];

if (!existsSync(modules())) {
  process.stderr.write('run npm ci first, at the root of the clone: node_modules is missing.\n');
  process.exit(1);
}

if (Number(process.versions.node.split('.')[0]) < FLOOR) {
  const node = pinned();
  if (node === undefined) {
    process.stderr.write(
      `sallyport needs Node ${FLOOR} or later, and this is ${process.version} (${process.execPath}).\n` +
        'npm ci installs a Node 26 for this repository alone, as an optional dependency; so either\n' +
        '  run npm ci again without --omit=optional, or\n' +
        `  on a platform that these packages do not serve, install Node ${FLOOR} or later yourself.\n`,
    );
    process.exit(1);
  }
  process.exit(await runAgain(node));
}

function modules() {
  return join(import.meta.dirname ?? dirname(new URL(import.meta.url).pathname), '..', 'node_modules');
}

/** The Node that npm installed for this platform, if any. */
function pinned() {
  const binary = process.platform === 'win32' ? 'node.exe' : 'node';
  return ['node', 'node-bin']
    .map((name) => join(modules(), `${name}-${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`, 'bin', binary))
    .find((path) => existsSync(path));
}

/** The same command on `node`, which its children find first as well. Signals are passed on; the exit code comes back. */
function runAgain(node) {
  const env = { ...process.env, PATH: [dirname(node), process.env.PATH ?? ''].join(delimiter) };
  const child = spawn(node, [...process.execArgv, ...process.argv.slice(1)], { stdio: 'inherit', env });
  // A terminal sends SIGINT and SIGHUP to both by itself, and a second one means "at once".
  const isAtTerminal = process.stdin.isTTY;
  for (const signal of SIGNALS) {
    process.on(signal, () => {
      if (signal === 'SIGTERM' || !isAtTerminal) child.kill(signal);
    });
  }
  return new Promise((resolve) => {
    child.once('error', (error) => {
      process.stderr.write(`${node} does not start: ${error.message}\n`);
      resolve(1);
    });
    child.once('close', (code, signal) => resolve(code ?? 128 + (constants.signals[signal] ?? 0)));
  });
}
