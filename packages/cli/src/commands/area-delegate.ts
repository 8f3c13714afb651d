/** `sallyport area delegate`: who publishes for an area from now on, for two registrars to sign. */

import { addMs, formatInstant } from '@sallyport/model';
import type { Area, KeyId, Problem } from '@sallyport/model';
import { digestOfPayload, encodeAreaDelegation } from '@sallyport/trust';
import type { AreaDelegation, KeyRecord } from '@sallyport/trust';
import { AREA_CEREMONY, heldDelegation } from '../ceremony/area.ts';
import { command } from '../command.ts';
import type { Command } from '../command.ts';
import { at, outProblem, writeFile } from '../files.ts';
import { dirOption, homeOf } from '../home.ts';
import type { Io } from '../io.ts';
import { duration, many, positive, required } from '../option.ts';
import { areaOption, placeProblems } from '../places.ts';
import { readPublicKey } from '../public-key.ts';
import { readOwnTrust } from '../trust-files.ts';

export const areaDelegate: Command = command({
  name: 'area delegate',
  group: "Signers' tools",
  summary: 'draft who publishes for an area, for the registrars to sign',
  details: [
    'Begins with the delegation of the area in the folder, where there is one. Whoever leaves is removed: from the moment a sidecar holds the new delegation, and it cannot go back to the old one, that key publishes nothing, and what it published alone can be enforced by nobody who does not enforce it yet.',
    'Teams and leavers never need a new root.',
  ],
  options: {
    out: required('--out FILE', 'new file for the draft'),
    area: areaOption,
    publisher: many('--publisher FILE', 'public key of somebody who may publish from now on (repeatable)'),
    remove: many('--remove KEYID', 'key that publishes no more (repeatable)'),
    threshold: positive('--threshold N', 'how many publishers have to sign a bundle (default: as before, else 1)'),
    validFor: duration('--valid-for SPAN', 'how long the delegation is good', {
      otherwise: '365d',
      minMs: 3_600_000,
      maxMs: 3_650 * 86_400_000,
    }),
    dir: dirOption,
  },
  examples: [
    {
      line: 'area delegate --area acme/payments --publisher grace.pub --publisher heidi.pub --threshold 2 --out payments.draft.json',
      says: 'two people publish together',
    },
    { line: 'area delegate --area acme/payments --remove 0f1e… --out payments.draft.json', says: 'one has left' },
  ],
  async run({ options, io, out }) {
    const misplaced = outProblem(at(io.cwd, options.out), { as: 'new', shown: options.out });
    if (misplaced !== undefined) return out.refuse({ exit: 64, problems: [misplaced] });
    const wrong = placeProblems(options);
    if (wrong.length > 0) return out.refuse({ exit: 2, problems: wrong });
    const home = homeOf(options.dir, io);
    const trust = readOwnTrust(home, {}, io);
    if (!trust.ok) return out.refuse(trust.error);
    const held = heldDelegation(home, options.area as Area);
    const { keys, problems } = nextPublishers(held, options, io);
    for (const { keyId, publicRaw } of keys)
      if (trust.value.root.usesKey({ publicRaw }))
        problems.push({ path: '--publisher', message: `key ${keyId} serves a role of the root already`, remedy: 'a key serves one role' });
    const threshold = options.threshold ?? held?.publishers.threshold ?? 1;
    if (problems.length === 0 && keys.length < threshold)
      problems.push({
        path: '--threshold',
        message: `${threshold} publishers have to sign, and there are ${keys.length}`,
        remedy: 'name more with --publisher, or ask for fewer',
      });
    if (problems.length > 0) return out.refuse({ exit: 1, problems });
    const next: AreaDelegation = {
      number: (held?.number ?? 0) + 1,
      area: options.area as Area,
      keys,
      publishers: { keyIds: keys.map(({ keyId }) => keyId), threshold },
      expiresAt: addMs(io.clock.wall(), options.validFor),
    };
    const payload = encodeAreaDelegation(next);
    const written = writeFile(at(io.cwd, options.out), payload, { mode: 0o644, as: 'new' });
    if (!written.ok) return out.refuse({ exit: 64, problems: [written.error] });
    const digest = digestOfPayload(payload);
    await out.answer(
      {
        file: options.out,
        digest,
        number: next.number,
        area: next.area,
        publishers: next.publishers.keyIds,
        threshold,
        expires_at: formatInstant(next.expiresAt),
      },
      [
        ...AREA_CEREMONY.describe(next, trust.value.root),
        `digest ${digest}`,
        `next: each registrar compares the digest, then sallyport area sign ${options.out} --key FILE --out FILE`,
      ].join('\n'),
    );
    return 0;
  },
});

interface Wish {
  readonly publisher: readonly string[];
  readonly remove: readonly string[];
}

function nextPublishers(
  held: AreaDelegation | undefined,
  { publisher, remove }: Wish,
  io: Io,
): { readonly keys: readonly KeyRecord[]; readonly problems: Problem[] } {
  const before = held?.keys ?? [];
  const problems: Problem[] = remove
    .filter((id) => !before.some(({ keyId }) => keyId === (id as KeyId)))
    .map((id) => ({
      path: '--remove',
      message: `\`${id.slice(0, 80)}\` publishes nothing here`,
      remedy: before.map(({ keyId }) => keyId).join(', '),
    }));
  const keys: KeyRecord[] = before.filter(({ keyId }) => !remove.includes(keyId));
  for (const file of publisher) {
    const record = readPublicKey(file, io);
    if (!record.ok) problems.push(record.error);
    else if (keys.some(({ keyId }) => keyId === record.value.keyId))
      problems.push({ path: '--publisher', message: `\`${file}\` is a publisher already`, remedy: 'a key counts once' });
    else keys.push(record.value);
  }
  if (problems.length === 0 && keys.length === 0)
    problems.push({ path: '--publisher', message: 'nobody would publish for this area', remedy: 'name at least one' });
  return { keys, problems };
}
