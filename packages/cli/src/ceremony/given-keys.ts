/** Keys, thresholds and authorities as they are typed for a root: `ROLE=FILE`, `ROLE=N`, `[PREFIXES=]FILE`. */

import { readCertificate } from '@sallyport/crypto';
import { fail, ok } from '@sallyport/model';
import type { Problem, Result } from '@sallyport/model';
import { CA_PREFIXES, DIRECTORY_ATTRIBUTES_MAX, KEY_ROLES, isAttributeName } from '@sallyport/trust';
import type { CaPrefix, CertificateAuthorityRecord, KeyRecord, KeyRole } from '@sallyport/trust';
import { at, readText } from '../files.ts';
import type { Io } from '../io.ts';
import { pemCertificates } from '../pem.ts';
import { readPublicKey } from '../public-key.ts';

export interface GivenKey {
  readonly role: KeyRole;
  readonly record: KeyRecord;
  /** As typed. */
  readonly shown: string;
}

const CERTIFICATE_FILE_BYTES_MAX = 16_384;

/** Every key that was named, or everything that is wrong: also one key under two names, which would count once. */
export function readKeys(option: string, given: readonly string[], io: Io): Result<readonly GivenKey[], readonly Problem[]> {
  const keys: GivenKey[] = [];
  const problems: Problem[] = [];
  for (const shown of given) {
    const [, word = '', file = ''] = /^([a-z]+)=(.+)$/.exec(shown) ?? [];
    const role = KEY_ROLES.find((one) => one === word);
    if (role === undefined) {
      problems.push({
        path: option,
        message: `\`${shown.slice(0, 80)}\` names no role`,
        remedy: `ROLE=FILE, with one of ${KEY_ROLES.join(', ')}`,
      });
      continue;
    }
    const record = readPublicKey(file, io);
    if (!record.ok) problems.push(record.error);
    else {
      const twin = keys.find((other) => other.record.keyId === record.value.keyId);
      if (twin === undefined) keys.push({ role, record: record.value, shown });
      else
        problems.push({
          path: option,
          message: `\`${shown}\` and \`${twin.shown}\` are the same key`,
          remedy: 'a key serves one role, and counts once',
        });
    }
  }
  return problems.length === 0 ? ok(keys) : fail(problems);
}

/** What `--threshold` can speak of. `rollback` is the number of release keys that going back takes. */
type ThresholdName = KeyRole | 'rollback';
export type Thresholds = Readonly<Partial<Record<ThresholdName, number>>>;
const THRESHOLDS: readonly ThresholdName[] = [...KEY_ROLES, 'rollback'];

export function readThresholds(given: readonly string[]): Result<Thresholds, readonly Problem[]> {
  const thresholds: Partial<Record<ThresholdName, number>> = {};
  const problems: Problem[] = [];
  for (const shown of given) {
    const [, word, count] = /^([a-z]+)=([1-9][0-9]?)$/.exec(shown) ?? [];
    const name = THRESHOLDS.find((one) => one === word);
    if (name === undefined)
      problems.push({
        path: '--threshold',
        message: `\`${shown.slice(0, 80)}\` is no threshold`,
        remedy: `ROLE=N, with one of ${THRESHOLDS.join(', ')}`,
      });
    else thresholds[name] = Number(count);
  }
  return problems.length === 0 ? ok(thresholds) : fail(problems);
}

/** Authorities with what each may certify; everything unless its prefixes stand before the file. */
export function readAuthorities(given: readonly string[], io: Io): Result<readonly CertificateAuthorityRecord[], readonly Problem[]> {
  const authorities: CertificateAuthorityRecord[] = [];
  const problems: Problem[] = [];
  for (const shown of given) {
    const [, words, file = shown] = /^(\/[a-z/,-]*)=(.+)$/.exec(shown) ?? [];
    const named = words?.split(',');
    const prefixes = named === undefined ? CA_PREFIXES : CA_PREFIXES.filter((prefix) => named.includes(prefix));
    if (named !== undefined && (prefixes.length === 0 || prefixes.length !== new Set(named).size))
      problems.push({
        path: '--ca',
        message: `\`${words ?? ''}\` is not all of ${CA_PREFIXES.join(', ')}`,
        remedy: 'such as /sidecar/,/control-plane=ca.crt',
      });
    const authority = readAuthority(file, prefixes, io);
    if (authority.ok) authorities.push(authority.value);
    else problems.push(authority.error);
  }
  return problems.length === 0 ? ok(authorities) : fail(problems);
}

function readAuthority(shown: string, prefixes: readonly CaPrefix[], io: Io): Result<CertificateAuthorityRecord, Problem> {
  const text = readText(at(io.cwd, shown), { bytesMax: CERTIFICATE_FILE_BYTES_MAX, shown });
  if (!text.ok) return text;
  const [certificate, ...more] = pemCertificates(text.value);
  if (certificate === undefined || more.length > 0 || readCertificate(certificate)?.isCa !== true)
    return fail({ path: '', file: shown, message: 'holds no single CA certificate in PEM' });
  return ok({ certificate, prefixes });
}

/** The names that a root leaves to the directory. */
export function attributeProblems(option: string, names: readonly string[]): readonly Problem[] {
  const unfit = names
    .filter((name) => !isAttributeName(name))
    .map((name): Problem => ({
      path: option,
      message: `\`${name.slice(0, 80)}\` is not the name of an attribute`,
      remedy: 'such as department',
    }));
  return names.length <= DIRECTORY_ATTRIBUTES_MAX
    ? unfit
    : [...unfit, { path: option, message: `more than ${DIRECTORY_ATTRIBUTES_MAX} attributes` }];
}
