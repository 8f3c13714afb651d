/** The administrator's folder: does everything in it lead from the pin, how long does it last, who can read its keys? */

import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { readCertificate } from '@sallyport/crypto';
import { formatProblem } from '@sallyport/model';
import type { Instant } from '@sallyport/model';
import { EMPTY_HIGH_WATER, ENVELOPE_BYTES_MAX, explainRejection, trustDelegation, trustOnlineKeys } from '@sallyport/trust';
import type { TrustedRoot } from '@sallyport/trust';
import { readBytes, readText } from '../../files.ts';
import type { Home } from '../../home.ts';
import type { Io } from '../../io.ts';
import { pemCertificates } from '../../pem.ts';
import { folderAbove, readOwnTrust } from '../../trust-files.ts';
import { failed, failedOf, judgeExpiry, warned, well } from './check.ts';
import type { Check } from './check.ts';

export interface HomeFound {
  readonly checks: readonly Check[];
  /** `undefined` where there is no root that could be trusted. */
  readonly root: TrustedRoot | undefined;
}

const DAY_MS = 86_400_000;
const LONG_MS = 30 * DAY_MS;
const ONLINE_WARN_MS = 7 * DAY_MS;
const CERTIFICATE_BYTES_MAX = 65_536;
const NEW_ROOT = 'a development root is made anew: sallyport root init --development in another folder';

export function judgeHome(home: Home, io: Io): HomeFound {
  if (!existsSync(home.rootPin)) return { checks: [missing(home)], root: undefined };
  const trust = readOwnTrust(home, {}, io);
  if (!trust.ok) return { checks: trust.error.problems.map((problem) => failedOf('root of trust', problem)), root: undefined };
  const { root, pin } = trust.value;
  const now = io.clock.wall();
  const left = root.expiresAt - now;
  return {
    root,
    checks: [
      well('root of trust', `root ${root.number} of ${root.trustDomain} (${root.profile}), by pin ${pin.slice(0, 19)}…`),
      judgeExpiry('root of trust', { what: `root ${root.number}`, leftMs: left, warnMs: LONG_MS, remedy: NEW_ROOT }),
      ...judgeDelegations(home, root, now),
      judgeOnlineKeys(home, root, now),
      ...judgeAdmins(home, now),
    ],
  };
}

/** Nothing is wrong yet; but one somewhere above is what beginners from another folder mean. */
function missing(home: Home): Check {
  const above = folderAbove(home);
  if (above !== undefined)
    return warned('root of trust', `there is none at ${home.dir}, but one at ${above}`, `go to ${dirname(above)}, or say --dir ${above}`);
  return warned('root of trust', `there is none at ${home.dir}`, 'sallyport root init --development; sallyport dev needs none');
}

function judgeDelegations(home: Home, root: TrustedRoot, now: Instant): readonly Check[] {
  const subject = 'delegations';
  const names = filesIn(home.delegations, '.json');
  if (names.length === 0)
    return [failed(subject, `${home.delegations} holds none: nobody may publish`, 'the registrar signs one for each area')];
  return names.map((name) => {
    const file = join(home.delegations, name);
    const bytes = readBytes(file, { bytesMax: ENVELOPE_BYTES_MAX.AreaDelegation });
    if (!bytes.ok) return failedOf(subject, bytes.error);
    const trusted = trustDelegation(bytes.value, { root, highWater: EMPTY_HIGH_WATER, at: now });
    if (!trusted.ok) return failed(subject, `${file}: ${explainRejection(trusted.error)}`, 'the registrar has to sign it anew');
    const { area, payload } = trusted.value;
    return judgeExpiry(subject, {
      what: `who publishes for area ${area}`,
      leftMs: payload.expiresAt - now,
      warnMs: LONG_MS,
      remedy: 'the registrar has to sign it anew',
    });
  });
}

function judgeOnlineKeys(home: Home, root: TrustedRoot, now: Instant): Check {
  const subject = 'online keys';
  const bytes = readBytes(home.onlineKeys, { bytesMax: ENVELOPE_BYTES_MAX.OnlineKeys });
  if (!bytes.ok) return failedOf(subject, bytes.error);
  const trusted = trustOnlineKeys(bytes.value, { root, highWater: EMPTY_HIGH_WATER });
  if (!trusted.ok) return failed(subject, `${home.onlineKeys}: ${explainRejection(trusted.error)}`, 'a releaser has to sign it anew');
  const last = Math.max(...trusted.value.keys.map(({ notAfter }) => notAfter));
  const remedy = 'afterwards no sidecar is fresh any more: a releaser has to sign new online keys (development: make a new root)';
  return judgeExpiry(subject, { what: 'the freshness key', leftMs: last - now, warnMs: ONLINE_WARN_MS, remedy });
}

function judgeAdmins(home: Home, now: Instant): readonly Check[] {
  const subject = 'administrators';
  const names = filesIn(home.admin, '.crt');
  if (names.length === 0)
    return [warned(subject, `${home.admin} holds no certificate`, 'without one nobody can ask the control plane from here')];
  return names.map((name) => {
    const file = join(home.admin, name);
    const pem = readText(file, { bytesMax: CERTIFICATE_BYTES_MAX });
    if (!pem.ok) return failed(subject, formatProblem(pem.error));
    const [der] = pemCertificates(pem.value);
    const leaf = der === undefined ? undefined : readCertificate(der);
    if (leaf === undefined) return failed(subject, `${file} holds no certificate in PEM`);
    if (now < leaf.notBefore)
      return failed(subject, `the certificate of ${name.slice(0, -4)} is not valid yet`, 'is the clock of this machine right?');
    return judgeExpiry(subject, {
      what: `the certificate of ${name.slice(0, -4)}`,
      leftMs: leaf.notAfter - now,
      warnMs: LONG_MS,
      remedy: NEW_ROOT,
    });
  });
}

function filesIn(folder: string, ending: string): readonly string[] {
  try {
    return readdirSync(folder)
      .filter((name) => name.endsWith(ending))
      .toSorted()
      .slice(0, 100);
  } catch {
    // A folder that is not there holds no file.
    return [];
  }
}
