/** The administrator's own trust: the pin from a file or typed, the Roots that lead from it, and who publishes for an area. */

import { readdirSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fail, isDigest, ok } from '@sallyport/model';
import type { Area, Digest, Problem, Result } from '@sallyport/model';
import { ENVELOPE_BYTES_MAX, explainRejection, trustRoot } from '@sallyport/trust';
import type { TrustedRoot } from '@sallyport/trust';
import { at, isAbsence, readBytes, readText, reasonOf } from './files.ts';
import type { Home } from './home.ts';
import type { Io } from './io.ts';
import { many, text } from './option.ts';
import { refusal } from './output.ts';
import type { Refusal } from './output.ts';

export const rootPinOption: ReturnType<typeof text> = text(
  '--root-pin PIN',
  'digest of Root 1, or a file that holds it (default: root-pin in the folder)',
);
export const rootsOption: ReturnType<typeof many> = many(
  '--root FILE',
  'a signed Root, in order from Root 1 (repeatable; default: all in root/ of the folder)',
);

const PIN_BYTES_MAX = 256;
/** The most that a chain may have; `trust` has the same bound. */
const ROOTS_MAX = 256;

/** What a command was given of these; a command that has no such options gives none of the keys, and is not told of them. */
export interface RootSources {
  readonly rootPin?: string | undefined;
  readonly roots?: readonly string[];
}

export interface OwnTrust {
  readonly root: TrustedRoot;
  readonly pin: Digest;
}

/**
 * The Root at the end of the chain from the pin. A development root is accepted here: it is the administrator's own, and
 * whoever shows it says what it is. Expiry is for the caller to judge. Files that cannot be read are 64, a chain that does
 * not lead from the pin is 1.
 */
export function readOwnTrust(home: Home, sources: RootSources, io: Io): Result<OwnTrust, Refusal> {
  const absent = absentFolder(home, sources);
  if (absent !== undefined) return fail({ exit: 64, problems: [absent] });
  const pin = readPin(home, sources, io);
  const chain = readChain(home, sources, io);
  if (!pin.ok || !chain.ok) return fail({ exit: 64, problems: [...(pin.ok ? [] : [pin.error]), ...(chain.ok ? [] : chain.error)] });
  const root = trustRoot({ pin: pin.value, chain: chain.value, allowDevelopmentRoot: true });
  return root.ok ? ok({ root: root.value, pin: pin.value }) : fail(refusal(1, explainRejection(root.error)));
}

/**
 * One problem for a folder that is not there, or that no root was made in, instead of one for everything in it; none where
 * something else was named. Who stands in a folder below that of the root hears where it is.
 */
export function absentFolder(home: Home, sources: RootSources): Problem | undefined {
  if (sources.rootPin !== undefined || (sources.roots ?? []).length > 0 || !isAbsent(home.rootPin) || !isAbsent(home.roots))
    return undefined;
  const above = folderAbove(home);
  const files = Object.hasOwn(sources, 'rootPin') ? ', or the files with --root-pin and --root' : '';
  const remedy =
    above === undefined
      ? `name yours with --dir${files}; a new one is made by \`sallyport root init --development\``
      : `there is one at ${above}: go to ${dirname(above)}, or name it with --dir`;
  const message = isAbsent(home.dir) ? 'there is no such folder' : 'no root of trust was made here yet';
  return { path: '', file: home.dir, message, remedy };
}

/** The folder of a root, of the same name, that stands nearest above where this one was looked for. */
export function folderAbove(home: Pick<Home, 'dir'>): string | undefined {
  for (let at = dirname(dirname(home.dir)); ; at = dirname(at)) {
    const candidate = join(at, basename(home.dir));
    if (candidate !== home.dir && !isAbsent(join(candidate, 'root-pin'))) return candidate;
    if (dirname(at) === at) return undefined;
  }
}

function isAbsent(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false }) === undefined;
  } catch {
    // There, or not for us to see: reading it says which.
    return false;
  }
}

function readPin(home: Home, sources: RootSources, io: Io): Result<Digest, Problem> {
  const given = sources.rootPin;
  if (given !== undefined && isDigest(given)) return ok(given);
  // Mistyped, and no file: nobody names one so.
  if (given !== undefined && /^(sha256:|[0-9a-fA-F]{40,}$)/.test(given))
    return fail({
      path: '--root-pin',
      message: `\`${given.slice(0, 80)}\` is not a pin`,
      remedy: '`sha256:` and 64 lower-case hex digits',
    });
  const file = given === undefined ? home.rootPin : at(io.cwd, given);
  const content = readText(file, { bytesMax: PIN_BYTES_MAX, shown: given ?? file });
  if (!content.ok) return fail({ ...content.error, remedy: pinRemedy(content.error, sources) });
  const pin = content.value.trim();
  return isDigest(pin) ? ok(pin) : fail({ path: '', file, message: 'holds no digest', remedy: '`sha256:` and 64 hex digits' });
}

/** Only what helps, and only options that the command has. */
function pinRemedy(problem: Problem, sources: RootSources): string {
  const named = Object.hasOwn(sources, 'rootPin')
    ? ['name it with --root-pin', 'or the folder that holds it with --dir']
    : ['name the folder that holds it with --dir'];
  return isAbsence(problem) ? named.join(', ') : `make it readable for you, or ${named.join(', ')}`;
}

function readChain(home: Home, sources: RootSources, io: Io): Result<readonly Uint8Array[], readonly Problem[]> {
  const { roots: given = [] } = sources;
  const files = given.length > 0 ? ok(given.map((file) => at(io.cwd, file))) : rootFiles(home, sources);
  if (!files.ok) return fail([files.error]);
  const chain: Uint8Array[] = [];
  const problems: Problem[] = [];
  for (const file of files.value) {
    const bytes = readBytes(file, { bytesMax: ENVELOPE_BYTES_MAX.Root });
    if (bytes.ok) chain.push(bytes.value);
    else problems.push(bytes.error);
  }
  return problems.length === 0 ? ok(chain) : fail(problems);
}

/** `1.json`, `2.json`, … by number. */
function rootFiles(home: Home, sources: RootSources): Result<readonly string[], Problem> {
  const remedy = Object.hasOwn(sources, 'roots')
    ? 'name them with --root, or the folder that holds them with --dir'
    : 'name the folder that holds them with --dir';
  try {
    const numbers = readdirSync(home.roots).flatMap((name) => /^([1-9][0-9]{0,2})\.json$/.exec(name)?.[1] ?? []);
    if (numbers.length > 0 && numbers.length <= ROOTS_MAX)
      return ok(numbers.toSorted((a, b) => Number(a) - Number(b)).map((number) => join(home.roots, `${number}.json`)));
    return fail({ path: '', file: home.roots, message: 'holds no Root', remedy });
  } catch (error) {
    return fail({ path: '', file: home.roots, message: `cannot be read: ${reasonOf(error)}`, remedy });
  }
}

/** The delegation of an area, as it lies in the folder or where it was named. */
export function readDelegation(home: Home, area: Area, given: string | undefined, io: Io): Result<Uint8Array, Problem> {
  const file = given === undefined ? join(home.delegations, `${area.replaceAll('/', '.')}.json`) : at(io.cwd, given);
  const bytes = readBytes(file, { bytesMax: ENVELOPE_BYTES_MAX.AreaDelegation, shown: given ?? file });
  return bytes.ok ? bytes : fail({ ...bytes.error, remedy: 'name it with --delegation' });
}
