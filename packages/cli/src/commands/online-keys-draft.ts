/** `sallyport online-keys draft`: the freshness keys of the next period, for the release role to sign ahead. */

import { addMs } from '@sallyport/model';
import type { Instant, Problem } from '@sallyport/model';
import { digestOfPayload, encodeOnlineKeys } from '@sallyport/trust';
import type { OnlineKey, OnlineKeys } from '@sallyport/trust';
import { heldOnlineKeys, ONLINE_KEYS_CEREMONY } from '../ceremony/online-keys.ts';
import { command } from '../command.ts';
import type { Command } from '../command.ts';
import { at, outProblem, writeFile } from '../files.ts';
import { dirOption, homeOf } from '../home.ts';
import type { Io } from '../io.ts';
import { duration, flag, many, required } from '../option.ts';
import { readPublicKey } from '../public-key.ts';
import { readOwnTrust } from '../trust-files.ts';

const DAY_MS = 86_400_000;
/** Machines' clocks differ; what is signed a moment ago holds everywhere. */
const BACKDATED_MS = 300_000;

export const onlineKeysDraft: Command = command({
  name: 'online-keys draft',
  group: "Signers' tools",
  summary: 'draft which keys may say that policy is fresh, and until when, for the release role to sign',
  details: [
    'Begins with the online keys of the folder; keys whose period has ended are left out. Where no sidecar hears a key that is certified, it stops: renew well ahead. The control plane reads the file again by itself.',
  ],
  options: {
    out: required('--out FILE', 'new file for the draft'),
    key: many('--key REPLICA=FILE', 'public freshness key of a replica of the control plane (repeatable)'),
    renew: flag('--renew', 'let every key that is there go on for another period'),
    remove: many('--remove KEYID', 'key that says nothing any more (repeatable)'),
    startsIn: duration('--starts-in SPAN', 'when the period of new keys begins', { otherwise: '0s', minMs: 0, maxMs: 30 * DAY_MS }),
    validFor: duration('--valid-for SPAN', 'how long the period is', { otherwise: '30d', minMs: 3_600_000, maxMs: 60 * DAY_MS }),
    dir: dirOption,
  },
  examples: [
    { line: 'online-keys draft --renew --out online.draft.json', says: 'another 30 days for the keys that are there' },
    { line: 'online-keys draft --key r2=freshness-2.pub --starts-in 7d --out online.draft.json', says: 'a new key, from next week on' },
  ],
  async run({ options, io, out }) {
    const misplaced = outProblem(at(io.cwd, options.out), { as: 'new', shown: options.out });
    if (misplaced !== undefined) return out.refuse({ exit: 64, problems: [misplaced] });
    const home = homeOf(options.dir, io);
    const trust = readOwnTrust(home, {}, io);
    if (!trust.ok) return out.refuse(trust.error);
    const held = heldOnlineKeys(home);
    const drafted = nextOnlineKeys(held, options, io);
    for (const key of drafted.keys)
      if (trust.value.root.usesKey(key))
        drafted.problems.push({
          path: '--key',
          message: `key ${key.keyId} serves a role of the root already`,
          remedy: 'a key serves one role',
        });
    if (drafted.problems.length > 0) return out.refuse({ exit: 1, problems: drafted.problems });
    const next: OnlineKeys = { number: (held?.number ?? 0) + 1, keys: drafted.keys };
    const payload = encodeOnlineKeys(next);
    const written = writeFile(at(io.cwd, options.out), payload, { mode: 0o644, as: 'new' });
    if (!written.ok) return out.refuse({ exit: 64, problems: [written.error] });
    const digest = digestOfPayload(payload);
    await out.answer(
      { file: options.out, digest, ...ONLINE_KEYS_CEREMONY.json(next) },
      [
        ...ONLINE_KEYS_CEREMONY.describe(next, trust.value.root),
        `digest ${digest}`,
        `next: the release role compares the digest, then sallyport online-keys sign ${options.out} --key FILE --out FILE`,
      ].join('\n'),
    );
    return 0;
  },
});

interface Wish {
  readonly key: readonly string[];
  readonly renew: boolean;
  readonly remove: readonly string[];
  readonly startsIn: number;
  readonly validFor: number;
}

function nextOnlineKeys(
  held: OnlineKeys | undefined,
  wish: Wish,
  io: Io,
): { readonly keys: readonly OnlineKey[]; readonly problems: Problem[] } {
  const now = io.clock.wall();
  const begins = wish.startsIn === 0 ? addMs(now, -BACKDATED_MS) : addMs(now, wish.startsIn);
  const ends = addMs(now, wish.startsIn + wish.validFor);
  const before = held?.keys ?? [];
  const problems: Problem[] = wish.remove
    .filter((id) => !before.some(({ keyId }) => (keyId as string) === id))
    .map((id) => ({
      path: '--remove',
      message: `\`${id.slice(0, 80)}\` is no online key here`,
      remedy: before.map(({ keyId }) => keyId).join(', '),
    }));
  const kept = before.filter(({ keyId, notAfter }) => !wish.remove.includes(keyId) && (wish.renew || notAfter >= now));
  const keys: OnlineKey[] = kept.map((key) => (wish.renew ? { ...key, notAfter: Math.max(key.notAfter, ends) as Instant } : key));
  for (const shown of wish.key) {
    const [, replica = '', file = ''] = /^([A-Za-z0-9._-]{1,64})=(.+)$/.exec(shown) ?? [];
    const record = readPublicKey(file, io);
    if (replica === '')
      problems.push({
        path: '--key',
        message: `\`${shown.slice(0, 80)}\` names no replica`,
        remedy: 'REPLICA=FILE, such as r1=freshness.pub',
      });
    else if (!record.ok) problems.push(record.error);
    else if (keys.some(({ keyId }) => keyId === record.value.keyId))
      problems.push({ path: '--key', message: `\`${shown}\` is certified already`, remedy: 'let it go on with --renew' });
    else keys.push({ ...record.value, role: 'freshness', replica, notBefore: begins, notAfter: ends });
  }
  if (problems.length === 0 && keys.length === 0)
    problems.push({ path: '--key', message: 'no key could say that policy is fresh', remedy: 'name one with --key' });
  return { keys, problems };
}
