/** The ceremony of a root: signed by its own root role, and by that of the root before it. docs/spec/ceremonies.md section 4. */

import { encodeHex, sha256 } from '@sallyport/crypto';
import { fail, formatInstant, ok } from '@sallyport/model';
import type { Json, Result } from '@sallyport/model';
import { KEY_ROLES, ROOT_ROLES, followRoot, readSoundRoot, replacesKeys, trustRoot } from '@sallyport/trust';
import type { CertificateAuthorityRecord, KeyRole, Root, RootRole, SoundRoot, TrustedRoot } from '@sallyport/trust';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { writeFile } from '../files.ts';
import { formatSpan } from '../option.ts';
import { refusal } from '../output.ts';
import type { Refusal } from '../output.ts';
import { rejected } from './ceremony.ts';
import type { Ceremony, Place, Signatories, Signed } from './ceremony.ts';

export const ROOT_CEREMONY: Ceremony<SoundRoot> = {
  kind: 'Root',
  family: 'root',
  noun: 'a root',
  read: readSoundRoot,
  signatories,
  describe,
  json: ({ root, digest }) => ({
    number: root.number,
    profile: root.profile,
    trust_domain: root.trustDomain,
    expires_at: formatInstant(root.expiresAt),
    ...(root.number === 1 ? ({ root_pin: digest } satisfies Record<string, Json>) : {}),
  }),
  install,
};

function signatories({ root, digest, roles }: SoundRoot, held: TrustedRoot | undefined): Result<readonly Signatories[], Refusal> {
  const own = { says: `the root role of root ${root.number}`, role: roles.root };
  // Who only signs may have no folder; who assembles has one, and is refused by `install` without it.
  if (root.number === 1 || held === undefined || held.digest === digest) return ok([own]);
  if (held.number !== root.number - 1)
    return fail(
      refusal(
        1,
        `root ${root.number} does not follow root ${held.number}, which is in force here`,
        'no number is left out, and none is used twice',
      ),
    );
  return ok([{ says: `the root role of root ${held.number}`, role: held.role('root') }, own]);
}

function describe({ root, roles }: SoundRoot, held: TrustedRoot | undefined): readonly string[] {
  const thresholds = (name: RootRole): string =>
    name === 'release'
      ? `${root.roles.release.threshold} (going back: ${root.roles.release.rollbackThreshold})`
      : String(root.roles[name].threshold);
  const before = held?.number === root.number - 1 ? held : undefined;
  return [
    `root ${root.number} of ${root.trustDomain}, profile ${root.profile}, valid to ${formatInstant(root.expiresAt)}`,
    ...ROOT_ROLES.map((name) => `  ${name.padEnd(10)} ${thresholds(name)} of ${roles[name].keys.map(({ keyId }) => keyId).join(', ')}`),
    ...directoryLines(root).map((line) => `  ${line}`),
    `  freshness  at most ${formatSpan(root.ceilings.freshnessTtlMsMax)}`,
    ...root.certificateAuthorities.map((authority) => `  authority  ${fingerprint(authority)} for ${authority.prefixes.join(', ')}`),
    ...(before === undefined ? [] : changes(before.payload, { root, roles }, before)),
  ];
}

/** What the next root does to the one in force, each change a line; the ones that undo memory in words. */
function changes(before: Root, { root, roles }: Pick<SoundRoot, 'root' | 'roles'>, held: TrustedRoot): readonly string[] {
  const lines: string[] = [];
  for (const name of KEY_ROLES) {
    const [old, next] = [before.roles[name] ?? NO_ROLE, root.roles[name] ?? NO_ROLE];
    lines.push(...next.keyIds.filter((id) => !old.keyIds.includes(id)).map((id) => `  + ${name} key ${id}`));
    lines.push(...old.keyIds.filter((id) => !next.keyIds.includes(id)).map((id) => `  - ${name} key ${id}`));
    if (old.threshold !== next.threshold) lines.push(`  ~ threshold of ${name}: ${old.threshold} to ${next.threshold}`);
    if (old !== NO_ROLE && replacesKeys(held, { role: (one) => roles[one], directory: roles.directory }, name))
      lines.push(`  ! replaces the ${name} keys: ${ANEW[name]}`);
  }
  const [backBefore, back] = [before.roles.release.rollbackThreshold, root.roles.release.rollbackThreshold];
  if (backBefore !== back) lines.push(`  ~ threshold of going back: ${backBefore} to ${back}`);
  const [ttlBefore, ttl] = [before.ceilings.freshnessTtlMsMax, root.ceilings.freshnessTtlMsMax];
  if (ttlBefore !== ttl) lines.push(`  ~ freshness at most: ${formatSpan(ttlBefore)} to ${formatSpan(ttl)}`);
  const [directoryBefore, directory] = [directoryLines(before), directoryLines(root)];
  lines.push(...directory.filter((line) => !directoryBefore.includes(line)).map((line) => `  + ${line}`));
  lines.push(...directoryBefore.filter((line) => !directory.includes(line)).map((line) => `  - ${line}`));
  const [oldCas, newCas] = [before, root].map(({ certificateAuthorities }) => certificateAuthorities.map(authorityLine)) as [
    string[],
    string[],
  ];
  lines.push(...newCas.filter((line) => !oldCas.includes(line)).map((line) => `  + ${line}`));
  lines.push(...oldCas.filter((line) => !newCas.includes(line)).map((line) => `  - ${line}`));
  return lines.length === 0 ? ['  nothing changes but how long it is valid'] : lines;
}

/** Who says what the directory says, and all that it may say; none where nobody does. */
function directoryLines({ roles: { directory }, ceilings }: Root): readonly string[] {
  if (directory === undefined) return [];
  return [
    `directory  ${directory.threshold} of ${directory.keyIds.join(', ')}, which may say ${(ceilings.directoryAttributes ?? []).join(', ')}`,
  ];
}

/** trust-v1 section 5.4. */
const ANEW: Readonly<Record<KeyRole, string>> = {
  root: 'nobody of the old ones signs the next root',
  registrar: 'every area has to be delegated again, and its numbers start anew',
  release: 'releases and online keys have to be signed again, their numbers start anew, and everybody needs a live proof',
  revocation: 'the log waits for a snapshot signed by the release role',
  directory: 'what was said of principals is not known until it is signed by the new ones',
};
const NO_ROLE = { keyIds: [], threshold: 0 } as const;

function authorityLine(authority: CertificateAuthorityRecord): string {
  return `authority ${fingerprint(authority)} for ${authority.prefixes.join(', ')}`;
}

/** As `openssl x509 -fingerprint -sha256` has it, without the colons. */
export function fingerprint({ certificate }: Pick<CertificateAuthorityRecord, 'certificate'>): string {
  return encodeHex(sha256(certificate));
}

/** Root 1 makes the folder's pin; any other has to follow what is in force there. */
function install({ object, envelope }: Signed<SoundRoot>, { home, root: held }: Place): Result<readonly string[], Refusal> {
  const { root, digest } = object;
  if (held?.digest === digest) return ok([]);
  if (root.number > 1) {
    if (held === undefined)
      return fail(refusal(64, `there is no root in \`${home.dir}\` that root ${root.number} could follow`, 'name its folder with --dir'));
    const followed = followRoot(held, envelope);
    if (!followed.ok) return fail(rejected(followed.error));
  } else {
    if (held !== undefined || existsSync(home.rootPin))
      return fail(refusal(1, `\`${home.dir}\` has a root already, and nobody trusts two`, 'name another folder with --dir'));
    const trusted = trustRoot({ pin: digest, chain: [envelope], allowDevelopmentRoot: true });
    if (!trusted.ok) return fail(rejected(trusted.error));
  }
  const file = join(home.roots, `${root.number}.json`);
  const files: readonly (readonly [file: string, content: string | Uint8Array])[] = [
    [file, envelope],
    // Last: without it nothing in the folder is a root.
    ...(root.number === 1 ? [[home.rootPin, `${digest}\n`] as const] : []),
  ];
  for (const [path, content] of files) {
    const written = writeFile(path, content, { mode: 0o644, as: 'new' });
    if (!written.ok) return fail({ exit: 64, problems: [written.error] });
  }
  return ok(files.map(([path]) => path));
}
