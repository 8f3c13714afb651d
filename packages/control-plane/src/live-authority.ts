/**
 * The signed files as they are now. People put newer ones beside the old (the next Root, a delegation without somebody
 * who has left, online keys of the next period), and they are taken while this process runs, once all of them hold
 * together. What does not hold is refused whole and told, and what is held goes on: a file can make this process later,
 * never looser. docs/spec/control-plane.md section 3.1b.
 */

import { encodeHex, equalBytes } from '@sallyport/crypto';
import { addMs, fail, formatInstant, formatProblem, ok } from '@sallyport/model';
import type { Clock, Instant, Result } from '@sallyport/model';
import type { FileSystem } from '@sallyport/runtime';
import type { Log } from '@sallyport/telemetry';
import { replacesKeys } from '@sallyport/trust';
import { readAuthority } from './authority.ts';
import type { Authority } from './authority.ts';
import type { ControlPlaneConfig } from './config.ts';

/** What others have to do something about. */
export interface AuthorityChange {
  readonly root: boolean;
  readonly delegations: boolean;
  readonly onlineKeys: boolean;
}

export interface LiveAuthority {
  /** Reads as the newest that was taken; whoever holds it need not be told. */
  readonly authority: Authority;
  /** Reads all files again; what changed, if anything was taken. */
  reread(): AuthorityChange | undefined;
  /** What ends soon, a line each, so that somebody signs the next in time. */
  ending(): readonly string[];
}

export interface LiveAuthorityOptions {
  readonly config: ControlPlaneConfig;
  readonly first: Authority;
  readonly disk: FileSystem;
  readonly clock: Clock;
  readonly log: Log;
}

const DAY_MS = 86_400_000;
/** Long enough for the holders of two keys to be found. */
const ENDS_SOON_MS = { root: 30 * DAY_MS, delegation: 14 * DAY_MS, freshnessKey: 7 * DAY_MS } as const;

export function liveAuthority({ config, first, disk, clock, log }: LiveAuthorityOptions): LiveAuthority {
  // Owner: this closure. Replaced whole by `reread`.
  let current = first;
  let told = '';
  const refuse = (detail: string): undefined => {
    // The same files every few moments are one line in the log.
    if (detail !== told) log.error('authority.files_refused', { detail });
    told = detail;
    return undefined;
  };
  return {
    authority: viewOf(() => current),
    reread() {
      const read = readAuthority(config, { disk, now: clock.wall() });
      if (!read.ok) return refuse(read.error.map(formatProblem).join('; '));
      const judged = judgeNext(current, read.value);
      if (!judged.ok) return refuse(judged.error);
      told = '';
      const change = changeOf(current, read.value);
      if (change === undefined) return undefined;
      current = read.value;
      log.info('authority.files_taken', { detail: `root ${current.root.number}, online keys ${current.onlineKeys.trusted.number}` });
      return change;
    },
    ending: () => endingSoon(current, clock.wall()),
  };
}

/** An authority whose every reading is of now. */
function viewOf(current: () => Authority): Authority {
  return {
    get root() {
      return current().root;
    },
    get rootEnvelopes() {
      return current().rootEnvelopes;
    },
    get delegations() {
      return current().delegations;
    },
    get onlineKeys() {
      return current().onlineKeys;
    },
    get freshness() {
      return current().freshness;
    },
    get freshnessKey() {
      return current().freshnessKey;
    },
    get revocation() {
      return current().revocation;
    },
    get audit() {
      return current().audit;
    },
    get directory() {
      return current().directory;
    },
    get ca() {
      return current().ca;
    },
  };
}

/** Why the files may not take the place of what is held: they go back, or they need a start. */
function judgeNext(held: Authority, next: Authority): Result<undefined, string> {
  if (next.root.number < held.root.number)
    return fail(`root ${held.root.number} is in force, and the files end with root ${next.root.number}`);
  if (next.root.number === held.root.number && next.root.digest !== held.root.digest)
    return fail(`another root ${held.root.number} than the one in force`);
  const [online, nextOnline] = [held.onlineKeys.trusted, next.onlineKeys.trusted];
  const isAnew = replacesKeys(held.root, next.root, 'release');
  if (!isAnew && (nextOnline.number < online.number || (nextOnline.number === online.number && nextOnline.digest !== online.digest)))
    return fail(`online keys ${online.number} are in force, and the file holds other ones of number ${nextOnline.number}`);
  if (!replacesKeys(held.root, next.root, 'registrar'))
    for (const [area, { trusted }] of held.delegations) {
      const other = next.delegations.get(area)?.trusted;
      if (other !== undefined && (other.number < trusted.number || (other.number === trusted.number && other.digest !== trusted.digest)))
        return fail(`delegation ${trusted.number} of \`${area}\` is in force, and its file holds another one of number ${other.number}`);
    }
  return needsStart(held, next) ? fail('other keys or authorities of this process: they are taken at a start') : ok(undefined);
}

/** What ports, streams of records and the log of revocations were opened with. */
function needsStart(held: Authority, next: Authority): boolean {
  const authorities = ({ root }: Authority): string =>
    root.certificateAuthorities.map(({ certificate, prefixes }) => `${encodeHex(certificate)} ${prefixes.join()}`).join(';');
  return (
    replacesKeys(held.root, next.root, 'revocation') ||
    !equalBytes(held.revocation.publicRaw, next.revocation.publicRaw) ||
    !equalBytes(held.audit.publicRaw, next.audit.publicRaw) ||
    !isSameKey(held.directory, next.directory) ||
    !equalBytes(held.ca.certificate, next.ca.certificate) ||
    authorities(held) !== authorities(next)
  );
}

function isSameKey(a: Authority['directory'], b: Authority['directory']): boolean {
  return a === undefined || b === undefined ? a === b : equalBytes(a.publicRaw, b.publicRaw);
}

function changeOf(held: Authority, next: Authority): AuthorityChange | undefined {
  const digests = ({ delegations }: Authority): string => [...delegations.values()].map(({ trusted }) => trusted.digest).join();
  const change = {
    root: held.root.digest !== next.root.digest,
    delegations: digests(held) !== digests(next),
    onlineKeys:
      held.onlineKeys.trusted.digest !== next.onlineKeys.trusted.digest || !equalBytes(held.freshness.publicRaw, next.freshness.publicRaw),
  };
  return change.root || change.delegations || change.onlineKeys ? change : undefined;
}

function endingSoon({ root, delegations, freshnessKey }: Authority, now: Instant): readonly string[] {
  const ends = (what: string, at: Instant, soonMs: number): readonly string[] =>
    at > addMs(now, soonMs) ? [] : [`${what} ends at ${formatInstant(at)}`];
  return [
    ...ends(`root ${root.number}`, root.expiresAt, ENDS_SOON_MS.root),
    ...ends(`freshness key \`${freshnessKey.keyId}\``, freshnessKey.notAfter, ENDS_SOON_MS.freshnessKey),
    ...[...delegations].flatMap(([area, { trusted }]) =>
      ends(`delegation ${trusted.number} of \`${area}\``, trusted.payload.expiresAt, ENDS_SOON_MS.delegation),
    ),
  ];
}
