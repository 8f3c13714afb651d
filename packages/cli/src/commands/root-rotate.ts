/** `sallyport root rotate`: the next root, with other keys, thresholds, ceilings or authorities, for old and new holders to sign. */

import { addMs } from '@sallyport/model';
import type { KeyId, Problem } from '@sallyport/model';
import { ROOT_ROLES } from '@sallyport/trust';
import type { KeyRole, Root, RootRole } from '@sallyport/trust';
import { attributeProblems, readAuthorities, readKeys, readThresholds } from '../ceremony/given-keys.ts';
import type { GivenKey, Thresholds } from '../ceremony/given-keys.ts';
import { fingerprint } from '../ceremony/root.ts';
import { command } from '../command.ts';
import type { Command } from '../command.ts';
import { at, outProblem } from '../files.ts';
import { dirOption, homeOf } from '../home.ts';
import { many, maybeDuration } from '../option.ts';
import { readOwnTrust } from '../trust-files.ts';
import { DRAFT_OPTIONS, directoryCeiling, writeDraft } from './root-draft.ts';

export const rootRotate: Command = command({
  name: 'root rotate',
  group: "Signers' tools",
  summary: 'draft the next root: keys that come and go, thresholds, ceilings, authorities, or a longer life',
  details: [
    'Begins with the root in force in the folder. The draft is signed by the thresholds of that root and by its own; only then `root assemble` installs it.',
    'A role whose remaining keys cannot reach the new threshold is replaced: what its keys have counted starts anew at every sidecar, so that nobody who holds old keys can stand in the way of the new ones. The draft says so.',
  ],
  options: {
    ...DRAFT_OPTIONS,
    add: many('--add ROLE=FILE', 'public key that a role gains (repeatable)'),
    remove: many('--remove KEYID', 'key that its role loses (repeatable)'),
    removeCa: many('--remove-ca SHA256', 'fingerprint of an authority that certifies nobody any more (repeatable)'),
    freshnessTtlMax: maybeDuration('--freshness-ttl-max SPAN', 'the longest that a sidecar may ever go on without a statement', {
      minMs: 2_000,
      maxMs: 86_400_000,
    }),
    dir: dirOption,
  },
  examples: [
    { line: 'root rotate --remove 0f1e… --add release=grace.pub --out root-2.draft.json', says: 'one release key goes, another comes' },
    { line: 'root rotate --valid-for 365d --out root-3.draft.json', says: 'the same for another year' },
  ],
  async run(call) {
    const { options, io, out } = call;
    const misplaced = outProblem(at(io.cwd, options.out), { as: 'new', shown: options.out });
    if (misplaced !== undefined) return out.refuse({ exit: 64, problems: [misplaced] });
    const trust = readOwnTrust(homeOf(options.dir, io), {}, io);
    if (!trust.ok) return out.refuse(trust.error);
    const held = trust.value.root.payload;
    const added = readKeys('--add', options.add, io);
    const thresholds = readThresholds(options.threshold);
    const authorities = readAuthorities(options.ca, io);
    const problems = [
      ...(added.ok ? takenKeys(held, added.value, options.remove) : added.error),
      ...(thresholds.ok ? [] : thresholds.error),
      ...(authorities.ok ? [] : authorities.error),
      ...attributeProblems('--directory-attribute', options.directoryAttribute),
      ...unknown(
        '--remove',
        options.remove,
        held.keys.map(({ keyId }) => keyId),
      ),
      ...unknown('--remove-ca', options.removeCa, held.certificateAuthorities.map(fingerprint)),
    ];
    if (problems.length > 0 || !added.ok || !thresholds.ok || !authorities.ok) return out.refuse({ exit: 1, problems });
    const keys = held.keys.filter(({ keyId }) => !options.remove.includes(keyId));
    const roles = nextRoles(held, { added: added.value, removed: options.remove, thresholds: thresholds.value });
    const next: Root = {
      ...held,
      number: held.number + 1,
      expiresAt: addMs(io.clock.wall(), options.validFor),
      keys: [...keys, ...added.value.map(({ record }) => record)],
      roles,
      ceilings: {
        freshnessTtlMsMax: options.freshnessTtlMax ?? held.ceilings.freshnessTtlMsMax,
        ...directoryCeiling(attributesOf(held, { roles, named: options.directoryAttribute })),
      },
      certificateAuthorities: [
        ...held.certificateAuthorities.filter((authority) => !options.removeCa.includes(fingerprint(authority))),
        ...authorities.value,
      ],
    };
    return writeDraft(next, options.out, call, trust.value.root);
  },
});

interface RoleChanges {
  readonly added: readonly GivenKey[];
  readonly removed: readonly string[];
  readonly thresholds: Thresholds;
}

function nextRoles({ roles }: Root, { added, removed, thresholds }: RoleChanges): Root['roles'] {
  const keyIds = (name: KeyRole): readonly KeyId[] => [
    ...(roles[name]?.keyIds ?? []).filter((id) => !removed.includes(id)),
    ...added.filter(({ role }) => role === name).map(({ record }) => record.keyId),
  ];
  const next = Object.fromEntries(
    ROOT_ROLES.map((name) => [name, { keyIds: keyIds(name), threshold: thresholds[name] ?? roles[name].threshold }]),
  ) as Record<RootRole, Root['roles'][RootRole]>;
  const directory = { keyIds: keyIds('directory'), threshold: thresholds.directory ?? roles.directory?.threshold ?? 1 };
  return {
    ...next,
    ...(directory.keyIds.length === 0 ? {} : { directory }),
    release: { ...next.release, rollbackThreshold: thresholds.rollback ?? roles.release.rollbackThreshold },
  };
}

/** Those that are named, else those of the root before. Without keys nothing is left to anybody; what is named then is refused. */
function attributesOf(
  { ceilings }: Root,
  { roles, named }: { readonly roles: Root['roles']; readonly named: readonly string[] },
): readonly string[] {
  if (named.length > 0) return named;
  return roles.directory === undefined ? [] : (ceilings.directoryAttributes ?? []);
}

function takenKeys(held: Root, added: readonly GivenKey[], removed: readonly string[]): readonly Problem[] {
  return added
    .filter(({ record }) => held.keys.some(({ keyId }) => keyId === record.keyId) && !removed.includes(record.keyId))
    .map(({ shown }) => ({
      path: '--add',
      message: `\`${shown}\` is a key of this root already`,
      remedy: 'a key serves one role, and counts once',
    }));
}

function unknown(option: string, given: readonly string[], known: readonly string[]): readonly Problem[] {
  return given
    .filter((one) => !known.includes(one))
    .map((one) => ({ path: option, message: `\`${one.slice(0, 80)}\` is not of the root in force`, remedy: known.join(', ') }));
}
