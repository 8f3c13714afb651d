/** `sallyport root draft`: Root 1 of a production trust domain, from public keys alone. */

import { addMs, fail, formatInstant, ok } from '@sallyport/model';
import type { Problem, Result } from '@sallyport/model';
import { ROOT_ROLES, digestOfPayload, encodeRoot, readSoundRoot } from '@sallyport/trust';
import type { KeyRole, RoleRecord, Root, RootRole } from '@sallyport/trust';
import { rejected } from '../ceremony/ceremony.ts';
import { attributeProblems, readAuthorities, readKeys, readThresholds } from '../ceremony/given-keys.ts';
import type { GivenKey, Thresholds } from '../ceremony/given-keys.ts';
import { ROOT_CEREMONY } from '../ceremony/root.ts';
import { command } from '../command.ts';
import type { Command, Invocation } from '../command.ts';
import { at, outProblem, writeFile } from '../files.ts';
import type { Exit } from '../io.ts';
import { duration, many, required } from '../option.ts';
import type { Option, Options } from '../option.ts';

/** Options of every draft of a root. */
export const DRAFT_OPTIONS: {
  readonly out: Option<string>;
  readonly threshold: Option<readonly string[]>;
  readonly ca: Option<readonly string[]>;
  readonly directoryAttribute: Option<readonly string[]>;
  readonly validFor: Option<number>;
} = {
  out: required('--out FILE', 'new file for the draft'),
  threshold: many('--threshold ROLE=N', 'how many keys of a role have to sign; rollback=N for going back (repeatable)'),
  ca: many('--ca FILE', 'certificate of an authority, or PREFIX,PREFIX=FILE for less than everything (repeatable)'),
  directoryAttribute: many('--directory-attribute NAME', 'an attribute of principals that the directory may say (repeatable)'),
  validFor: duration('--valid-for SPAN', 'how long the root is good', { otherwise: '365d', minMs: 3_600_000, maxMs: 3_650 * 86_400_000 }),
};

const OPTIONS = {
  ...DRAFT_OPTIONS,
  trustDomain: required('--trust-domain NAME', 'SPIFFE trust domain of every identity'),
  key: many(
    '--key ROLE=FILE',
    'public key of a signer; roles are root, registrar, release, revocation, and directory where there is to be one (repeatable)',
  ),
  freshnessTtlMax: duration('--freshness-ttl-max SPAN', 'the longest that a sidecar may ever go on without a statement', {
    otherwise: '1d',
    minMs: 15_000,
    maxMs: 86_400_000,
  }),
} as const;

/** One thief must not suffice; a revocation only denies, and has to be quick. */
const USUAL: Readonly<Record<RootRole, number>> = { root: 2, registrar: 2, release: 2, revocation: 1 };

export const rootDraft: Command = command({
  name: 'root draft',
  group: "Signers' tools",
  summary: 'draft Root 1 of a production trust domain, for its holders to sign',
  details: [
    'Takes public keys alone: every signer keeps the private half, at a machine that never meets the others. Each signs the draft with `root sign`; `root assemble` joins the signatures, makes the folder and prints the pin.',
    'Refused: fewer than two signatures for root, registrar or release, a key twice, a key in two roles.',
  ],
  options: OPTIONS,
  examples: [
    {
      line: 'root draft --trust-domain acme.test --key root=alice.pub --key root=bob.pub --key registrar=carol.pub --key registrar=dan.pub --key release=erin.pub --key release=frank.pub --key revocation=revocation.pub --ca workload-ca.crt --out root-1.draft.json',
      says: 'two of two for everything',
    },
  ],
  async run(call) {
    const { options, io, out } = call;
    const misplaced = outProblem(at(io.cwd, options.out), { as: 'new', shown: options.out });
    if (misplaced !== undefined) return out.refuse({ exit: 64, problems: [misplaced] });
    const keys = readKeys('--key', options.key, io);
    const thresholds = readThresholds(options.threshold);
    const authorities = readAuthorities(options.ca, io);
    const problems = [
      ...(/^[a-z0-9._-]{1,255}$/.test(options.trustDomain)
        ? []
        : [{ path: '--trust-domain', message: `\`${options.trustDomain}\` is not a SPIFFE trust domain` }]),
      ...(keys.ok ? missingRoles(keys.value) : keys.error),
      ...(thresholds.ok ? [] : thresholds.error),
      ...(authorities.ok ? [] : authorities.error),
      ...attributeProblems('--directory-attribute', options.directoryAttribute),
    ];
    if (problems.length > 0 || !keys.ok || !thresholds.ok || !authorities.ok) return out.refuse({ exit: 1, problems });
    const roles = rolesOf(keys.value, { ...USUAL, ...thresholds.value });
    return writeDraft(
      {
        number: 1,
        profile: 'production',
        trustDomain: options.trustDomain,
        expiresAt: addMs(io.clock.wall(), options.validFor),
        keys: keys.value.map(({ record }) => record),
        roles,
        ceilings: { freshnessTtlMsMax: options.freshnessTtlMax, ...directoryCeiling(options.directoryAttribute) },
        certificateAuthorities: authorities.value,
      },
      options.out,
      call,
    );
  },
});

function missingRoles(keys: readonly GivenKey[]): readonly Problem[] {
  return ROOT_ROLES.filter((name) => keys.every(({ role }) => role !== name)).map((name) => ({
    path: '--key',
    message: `nobody has the role ${name}`,
    remedy: `--key ${name}=FILE`,
  }));
}

function rolesOf(keys: readonly GivenKey[], thresholds: Thresholds & Readonly<Record<RootRole, number>>): Root['roles'] {
  const role = (name: KeyRole): RoleRecord => ({
    keyIds: keys.filter((key) => key.role === name).map(({ record }) => record.keyId),
    threshold: thresholds[name] ?? 1,
  });
  const directory = role('directory');
  return {
    root: role('root'),
    registrar: role('registrar'),
    release: { ...role('release'), rollbackThreshold: thresholds.rollback ?? Math.max(2, thresholds.release) },
    revocation: role('revocation'),
    ...(directory.keyIds.length === 0 ? {} : { directory }),
  };
}

/** Nothing is left to the directory where nothing is named. */
export function directoryCeiling(names: readonly string[]): Pick<Root['ceilings'], 'directoryAttributes'> {
  return names.length === 0 ? {} : { directoryAttributes: [...new Set(names)].toSorted() };
}

/** Judges a draft as every receiver will, and writes it. What is unsound is never there to be signed. */
export async function writeDraft(
  root: Root,
  shown: string,
  { io, out }: Pick<Invocation<Options>, 'io' | 'out'>,
  before?: Parameters<typeof ROOT_CEREMONY.describe>[1],
): Promise<Exit> {
  const payload = encodeRoot(root);
  const sound = judged(payload);
  if (!sound.ok) return out.refuse(sound.error);
  const written = writeFile(at(io.cwd, shown), payload, { mode: 0o644, as: 'new' });
  if (!written.ok) return out.refuse({ exit: 64, problems: [written.error] });
  const digest = digestOfPayload(payload);
  await out.answer(
    { file: shown, digest, number: root.number, profile: root.profile, expires_at: formatInstant(root.expiresAt) },
    [
      ...ROOT_CEREMONY.describe(sound.value, before),
      `digest ${digest}`,
      `next: each signer compares the digest, then sallyport root sign ${shown} --key FILE --out FILE`,
    ].join('\n'),
  );
  return 0;
}

function judged(payload: Uint8Array): Result<Parameters<typeof ROOT_CEREMONY.describe>[0], ReturnType<typeof rejected>> {
  const sound = readSoundRoot(payload);
  return sound.ok ? ok(sound.value) : fail(rejected(sound.error));
}
