/** `sallyport root init`: a folder with a new development root in it. */

import { chmodSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fail, formatInstant, ok } from '@sallyport/model';
import type { Problem, Result } from '@sallyport/model';
import { makeFolders, parseListenAddress } from '@sallyport/runtime';
import { attributeProblems } from '../ceremony/given-keys.ts';
import { command } from '../command.ts';
import type { Command } from '../command.ts';
import { at, reasonOf, writeFile } from '../files.ts';
import { dirOption, homeOf, shownPath } from '../home.ts';
import type { Home } from '../home.ts';
import type { Io } from '../io.ts';
import { duration, flag, many, textOr } from '../option.ts';
import { refusal } from '../output.ts';
import { makeRoot } from '../root/make-root.ts';
import type { MadeFile, RootOptions } from '../root/make-root.ts';

export const rootInit: Command = command({
  name: 'root init',
  group: "Signers' tools",
  summary: 'make a root of trust: keys, signed objects, a configuration for the control plane and one administrator',
  details: [
    'Only --development exists: all keys are made at once on this machine, one signature releases, two go back. The root says so, and is refused wherever `allow_development_root: true` is not configured.',
    'signing/ stays with people. A control plane that finds one of its keys refuses to start.',
  ],
  options: {
    development: flag('--development', 'make a root of profile development'),
    dir: dirOption,
    trustDomain: textOr('--trust-domain NAME', 'SPIFFE trust domain of every identity', 'demo.local'),
    admin: textOr('--admin NAME', 'name of the first administrator, the author of what it publishes', 'admin'),
    grpc: textOr('--grpc ADDRESS', 'where the control plane listens for gRPC', '127.0.0.1:7443'),
    enrolment: textOr('--enrolment ADDRESS', 'where the control plane listens for enrolment', '127.0.0.1:7445'),
    directoryAttribute: many('--directory-attribute NAME', 'an attribute of principals that the directory may say (repeatable)'),
    freshnessTtl: duration('--freshness-ttl SPAN', 'how long sidecars go on without hearing from the control plane', {
      otherwise: '15m',
      minMs: 2_000,
      maxMs: 86_400_000,
    }),
  },
  examples: [
    { line: 'root init --development', says: 'make .sallyport here' },
    { line: 'root init --development --dir acme --trust-domain acme.test --admin alice', says: 'with names of your own' },
  ],
  async run({ options, io, out }) {
    if (!options.development)
      return out.refuse(
        refusal(
          2,
          'only development roots can be made by one command',
          'add --development; a production root is signed by people at different machines: see `sallyport root draft`',
        ),
      );
    const named = judgeNames(options);
    if (named.length > 0) return out.refuse({ exit: 2, problems: named });
    const home = homeOf(options.dir, io);
    if (isTaken(home.dir))
      return out.refuse(
        refusal(
          1,
          `\`${home.dir}\` is not empty, and nothing in it is overwritten`,
          'name another folder with --dir, or move this one away',
        ),
      );
    const rootOptions: RootOptions = {
      ...options,
      freshnessTtlMs: options.freshnessTtl,
      directoryAttributes: options.directoryAttribute,
      now: io.clock.wall(),
      random: io.random,
    };
    const made = await makeRoot(rootOptions);
    const written = writeHome(home.dir, made.files, io);
    if (!written.ok) return out.refuse({ exit: 64, problems: [written.error] });
    const next = `sallyport control-plane --config ${shownPath(home.controlPlaneConfig, io)}`;
    await out.answer(
      {
        dir: home.dir,
        profile: 'development',
        trust_domain: options.trustDomain,
        root_pin: made.pin,
        admin: options.admin,
        expires_at: formatInstant(made.expiresAt),
        online_keys_until: formatInstant(made.onlineKeysUntil),
        files: made.files.map(({ path }) => path),
        next,
      },
      [
        `made ${shownPath(home.dir, io)}, a development root of ${options.trustDomain}`,
        `  root-pin          ${made.pin}`,
        `  root/             Root 1, valid to ${formatInstant(made.expiresAt)}`,
        '  delegations/      who publishes for area default',
        `  online-keys.json  the freshness key r1, valid to ${formatInstant(made.onlineKeysUntil)}`,
        '  signing/          five private keys that stay with people: never copy them to the control plane',
        `  control-plane/    configuration and the ${options.directoryAttribute.length > 0 ? 'five' : 'four'} keys that it may hold`,
        `  admin/            client certificate of ${options.admin}`,
        ...(isLoopback(options.grpc) && isLoopback(options.enrolment)
          ? []
          : [
              `others find it by the names in server_names of ${shownPath(home.controlPlaneConfig, io)}, so far localhost and 127.0.0.1: add theirs`,
            ]),
        `next: ${next}`,
      ].join('\n'),
    );
    return 0;
  },
});

export function judgeNames(options: {
  readonly trustDomain: string;
  readonly admin: string;
  readonly grpc: string;
  readonly enrolment: string;
  readonly directoryAttribute: readonly string[];
}): readonly Problem[] {
  const problems: Problem[] = [];
  if (!/^[a-z0-9._-]{1,255}$/.test(options.trustDomain))
    problems.push({
      path: '--trust-domain',
      message: `\`${options.trustDomain}\` is not a SPIFFE trust domain`,
      remedy: 'lower-case letters, digits, dots, dashes and underscores',
    });
  if (!/^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$/.test(options.admin))
    problems.push({
      path: '--admin',
      message: `\`${options.admin}\` cannot stand in a SPIFFE id`,
      remedy: 'letters, digits, dots, dashes and underscores',
    });
  problems.push(...attributeProblems('--directory-attribute', options.directoryAttribute));
  for (const name of ['grpc', 'enrolment'] as const)
    if (parseListenAddress(options[name])?.kind !== 'tcp')
      problems.push({ path: `--${name}`, message: `\`${options[name]}\` is not an address and port`, remedy: 'such as 127.0.0.1:7443' });
  return problems;
}

/** Whether only this machine reaches it. */
function isLoopback(address: string): boolean {
  const parsed = parseListenAddress(address);
  return parsed?.kind === 'tcp' && (parsed.host === 'localhost' || parsed.host === '::1' || parsed.host.startsWith('127.'));
}

function isTaken(dir: string): boolean {
  return existsSync(dir) && (!isFolder(dir) || readdirSync(dir).some((name) => !NEIGHBOURS.has(name)));
}

function pinLast(a: string, b: string): number {
  return Number(a === PIN) - Number(b === PIN);
}

function isFolder(path: string): boolean {
  try {
    readdirSync(path);
    return true;
  } catch {
    // Whatever it is, it is not a folder that we could fill.
    return false;
  }
}

/** What other commands keep in the folder, and a root leaves alone. */
const NEIGHBOURS: ReadonlySet<string> = new Set(['dev', 'dev-issuer']);
/** Without it nothing in the folder is a root: moved there last. */
const PIN = 'root-pin';

/** Written beside its place and moved there whole, or with the pin last: half a root must never be mistaken for one. */
export function writeHome(dir: Home['dir'], files: readonly MadeFile[], io: Pick<Io, 'random'>): Result<undefined, Problem> {
  const scratch = `${dir}.${Buffer.from(io.random(4)).toString('hex')}.new`;
  try {
    makeFolders(dirname(dir), 0o777);
    mkdirSync(scratch, { mode: 0o700 });
    for (const { path, content, isPrivate } of files) {
      const written = writeFile(at(scratch, path), content, { mode: isPrivate ? 0o600 : 0o644, as: 'new' });
      if (!written.ok) return written;
    }
    // The umask may have taken bits away that others need to read what is public; what is private stays as it was made.
    for (const { path, isPrivate } of files) if (!isPrivate) chmodSync(join(scratch, path), 0o644);
    const isShared = existsSync(dir) && readdirSync(dir).length > 0;
    if (isShared) for (const name of readdirSync(scratch).toSorted(pinLast)) renameSync(join(scratch, name), join(dir, name));
    else renameSync(scratch, dir);
    return ok(undefined);
  } catch (error) {
    return fail({ path: '', file: dir, message: `cannot be made: ${reasonOf(error)}` });
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}
