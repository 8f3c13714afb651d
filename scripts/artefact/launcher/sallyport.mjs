#!/usr/bin/env node
/**
 * The first file that runs, in plain JavaScript, because the Node that a machine calls `node` may be too old to read
 * anything else of this package. It sees to three things and then gets out of the way:
 *   the Node is new enough, or the one that npm installed beside this package takes over;
 *   the process has the flags and the environment that launch-flags.json names for its command;
 *   code that V8 compiled at build time is found, where it was made for this very Node.
 * `execve` puts the new process in the place of this one, so that a supervisor, a signal and a pid file mean the right one.
 */

import { existsSync, readFileSync } from 'node:fs';
import nodeModule, { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const FLOOR = 24;
const SELF = fileURLToPath(import.meta.url);
const PACKAGE = join(dirname(SELF), '..');
/** Processes that stay: they have flags, and a bundle of their own without the command line's libraries. */
const APPS = ['sidecar', 'control-plane'];
/** What an app understands by itself; with anything else the command line reads the arguments, help and `--json` included. */
const APP_ARGUMENTS = /^--(?:config|config=.+|check-config)$/;

const typed = process.argv.slice(2);
const [command = '', ...rest] = typed;
const isApp = APPS.includes(command);
const launch = JSON.parse(readFileSync(join(PACKAGE, 'launch-flags.json'), 'utf8'));
// What was given by hand stands, whatever its value.
const given = process.execArgv.map(nameOf);
const missing = isApp ? launch[command].filter((flag) => !given.includes(nameOf(flag))) : [];
const environment = { ...(isApp ? launch.environment[command] : {}), ...process.env };
const isComplete = missing.length === 0 && Object.keys(environment).every((name) => name in process.env);
const node = isOld() ? pinned() : process.execPath;

if (node === undefined) {
  process.stderr.write(
    `sallyport needs Node ${FLOOR} or later, and this is ${process.version} (${process.execPath}).\n` +
      'Either install it again without --omit=optional, which brings a Node of its own for Linux, macOS and Windows,\n' +
      `or install Node ${FLOOR} or later.\n`,
  );
  process.exitCode = 1;
} else if (node !== process.execPath || !isComplete) {
  await runAgain(node, [...process.execArgv, ...missing, SELF, ...typed]);
} else {
  useCompileCache();
  if (isApp && isPlain(rest)) await runApp(command, rest);
  else await bundle('sallyport');
}

/** V8 takes `_` for `-`. */
function nameOf(flag) {
  return flag.split('=')[0].replaceAll('_', '-');
}

function isOld() {
  return Number(process.versions.node.split('.')[0]) < FLOOR;
}

/** The Node that npm installed with this package for this platform, if any. */
function pinned() {
  const require = createRequire(import.meta.url);
  const isWindows = process.platform === 'win32';
  for (const name of ['node', 'node-bin']) {
    try {
      const manifest = require.resolve(`${name}-${isWindows ? 'win' : process.platform}-${process.arch}/package.json`);
      const binary = join(dirname(manifest), 'bin', isWindows ? 'node.exe' : 'node');
      if (existsSync(binary)) return binary;
    } catch {
      // Not for this platform, or left out: the next name, or the words above.
    }
  }
  return undefined;
}

async function runAgain(binary, argv) {
  if (typeof process.execve === 'function' && process.platform !== 'win32') process.execve(binary, [binary, ...argv], environment);
  const [{ spawn }, { constants }] = await Promise.all([import('node:child_process'), import('node:os')]);
  const child = spawn(binary, argv, { stdio: 'inherit', env: environment });
  // A terminal sends SIGINT and SIGHUP to both by itself, and a second one means "at once".
  const isAtTerminal = process.stdin.isTTY;
  for (const signal of ['SIGINT', 'SIGHUP', 'SIGTERM']) {
    process.on(signal, () => {
      if (signal === 'SIGTERM' || !isAtTerminal) child.kill(signal);
    });
  }
  process.exitCode = await new Promise((resolve) => {
    child.once('error', (error) => {
      process.stderr.write(`sallyport: ${binary} does not start: ${error.message}\n`);
      resolve(1);
    });
    child.once('close', (code, signal) => resolve(code ?? 128 + (constants.signals[signal] ?? 0)));
  });
}

/**
 * Only where the package brought some for this Node. `portable`, because the package lies elsewhere than where it was built,
 * for another user; Node's `readOnly` would look for the builder's user id. What Node adds, it can add only where this
 * user may write the package, and so its code, anyway.
 */
function useCompileCache() {
  const directory = join(PACKAGE, 'compile-cache', `${process.version}-${process.platform}-${process.arch}`);
  if (existsSync(directory)) nodeModule.enableCompileCache({ directory, portable: true });
}

function isPlain(words) {
  return words.every((word, index) => APP_ARGUMENTS.test(word) || words[index - 1] === '--config');
}

function bundle(name) {
  return import(`../lib/${name}.mjs`);
}

async function runApp(name, argv) {
  const { run } = await bundle(name);
  const io = { stdout: (text) => process.stdout.write(text), stderr: (text) => process.stderr.write(text) };
  process.exitCode = await run(argv, io);
}
