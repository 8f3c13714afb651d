/** The administrator's own trust: the pin from a file or typed, the Roots that lead from it, and who publishes for an area. */

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fail, isDigest, ok } from '@sallyport/model';
import type { Area, Digest, Problem, Result } from '@sallyport/model';
import { ENVELOPE_BYTES_MAX, explainRejection, trustRoot } from '@sallyport/trust';
import type { TrustedRoot } from '@sallyport/trust';
import { at, readBytes, readText, reasonOf } from './files.ts';
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
  const pin = readPin(home, sources.rootPin, io);
  const chain = readChain(home, sources.roots ?? [], io);
  if (!pin.ok || !chain.ok) return fail({ exit: 64, problems: [...(pin.ok ? [] : [pin.error]), ...(chain.ok ? [] : chain.error)] });
  const root = trustRoot({ pin: pin.value, chain: chain.value, allowDevelopmentRoot: true });
  return root.ok ? ok({ root: root.value, pin: pin.value }) : fail(refusal(1, explainRejection(root.error)));
}

function readPin(home: Home, given: string | undefined, io: Io): Result<Digest, Problem> {
  if (given !== undefined && isDigest(given)) return ok(given);
  const file = given === undefined ? home.rootPin : at(io.cwd, given);
  const content = readText(file, { bytesMax: PIN_BYTES_MAX, shown: given ?? file });
  if (!content.ok) return fail({ ...content.error, remedy: 'name it with --root-pin, or the folder that holds it with --dir' });
  const pin = content.value.trim();
  return isDigest(pin) ? ok(pin) : fail({ path: '', file, message: 'holds no digest', remedy: '`sha256:` and 64 hex digits' });
}

function readChain(home: Home, given: readonly string[], io: Io): Result<readonly Uint8Array[], readonly Problem[]> {
  const files = given.length > 0 ? ok(given.map((file) => at(io.cwd, file))) : rootFiles(home);
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
function rootFiles(home: Home): Result<readonly string[], Problem> {
  try {
    const numbers = readdirSync(home.roots).flatMap((name) => /^([1-9][0-9]{0,2})\.json$/.exec(name)?.[1] ?? []);
    if (numbers.length > 0 && numbers.length <= ROOTS_MAX)
      return ok(numbers.toSorted((a, b) => Number(a) - Number(b)).map((number) => join(home.roots, `${number}.json`)));
    return fail({ path: '', file: home.roots, message: 'holds no Root', remedy: 'name them with --root' });
  } catch (error) {
    return fail({
      path: '',
      file: home.roots,
      message: `cannot be read: ${reasonOf(error)}`,
      remedy: 'make one with `sallyport root init --development`, or name another folder with --dir',
    });
  }
}

/** The delegation of an area, as it lies in the folder or where it was named. */
export function readDelegation(home: Home, area: Area, given: string | undefined, io: Io): Result<Uint8Array, Problem> {
  const file = given === undefined ? join(home.delegations, `${area.replaceAll('/', '.')}.json`) : at(io.cwd, given);
  const bytes = readBytes(file, { bytesMax: ENVELOPE_BYTES_MAX.AreaDelegation, shown: given ?? file });
  return bytes.ok ? bytes : fail({ ...bytes.error, remedy: 'name it with --delegation' });
}
