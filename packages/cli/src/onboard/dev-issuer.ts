/**
 * The development issuer: stands in for an identity provider on one machine. One ES256 key in the administrator's folder,
 * its public half as the key set that a policy pins, and tokens for whoever one wants to be. It proves nothing about
 * anybody, so a policy that is meant for more than one machine names another issuer.
 */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { encodeBase64Url, utf8 } from '@sallyport/crypto';
import { generateKey, loadSigner, savePrivateKey, signerFromPem } from '@sallyport/crypto/keys';
import type { LocalSigner } from '@sallyport/crypto/keys';
import { fail, ok } from '@sallyport/model';
import type { Instant, Json, Problem, Random, Result } from '@sallyport/model';
import { makeFolders } from '@sallyport/runtime';
import { reasonOf, writeFile } from '../files.ts';
import type { Home } from '../home.ts';

/** Who says so, and to whom; as `issuer` and `audience` of the policy's Issuer document have it. */
export interface IssuerNames {
  /** An https URL. */
  readonly issuer: string;
  readonly audience: string;
}

/** A name under `.localhost` (RFC 6761): nobody can ever serve it from anywhere else. */
export const DEV_ISSUER: IssuerNames = { issuer: 'https://dev-issuer.localhost', audience: 'sallyport' };

export interface DevIssuer extends IssuerNames {
  readonly keyId: string;
  /** The public key set, as `keys_file` of a policy holds it: indented JSON and a line end. */
  readonly keySet: string;
  readonly signer: LocalSigner;
}

/** Whom a token speaks for. Claims have the names that an Issuer document without `claims` reads. */
export interface Operator {
  readonly subject: string;
  readonly tenant?: string;
  readonly roles?: readonly string[];
  readonly scopes?: readonly string[];
  /** The case that the operator works on. */
  readonly case?: string;
  /** More claims, by their names in the token. */
  readonly attributes?: Readonly<Record<string, Json>>;
  /** How long the token is good; five minutes unless given. */
  readonly ttlMs?: number;
}

const TTL_MS = 300_000;
const KEY_FILE = 'key.pem';

/** Where the issuer of an administrator's folder lies. */
export function devIssuerDir(home: Pick<Home, 'dir'>): string {
  return join(home.dir, 'dev-issuer');
}

/** The issuer in `dir`, made where there is none: the private key with mode 0600, in a folder with mode 0700. */
export function createDevIssuer(dir: string): Result<DevIssuer, Problem> {
  const file = join(dir, KEY_FILE);
  if (existsSync(file)) return loadDevIssuer(dir);
  try {
    makeFolders(dir, 0o700);
  } catch (error) {
    return fail({ path: '', file: dir, message: `cannot be made: ${reasonOf(error)}`, remedy: 'name a folder that you own with --dir' });
  }
  const ignored = ignoreByGit(dir);
  if (!ignored.ok) return ignored;
  const saved = savePrivateKey(file, generateKey('es256').privatePem);
  if (!saved.ok) return fail({ path: '', message: saved.error.message, remedy: saved.error.remedy });
  return loadDevIssuer(dir);
}

/** The issuer in `dir`; a problem where there is none, or others can read its key. */
export function loadDevIssuer(dir: string): Result<DevIssuer, Problem> {
  const file = join(dir, KEY_FILE);
  if (!existsSync(file))
    return fail({ path: '', file, message: 'there is no development issuer', remedy: 'make one with `sallyport init`' });
  const loaded = loadSigner(file);
  if (!loaded.ok) return fail({ path: '', message: loaded.error.message, remedy: loaded.error.remedy });
  if (loaded.value.alg === 'es256') return ok(issuerOver(loaded.value, DEV_ISSUER));
  return fail({
    path: '',
    file,
    message: 'holds a key that cannot sign tokens',
    remedy: 'move the file away; the next `sallyport init` makes another',
  });
}

/** An issuer that lives as long as this process; nothing is written. */
export function passingIssuer(names: IssuerNames): DevIssuer {
  return issuerOver(signerFromPem(generateKey('es256').privatePem), names);
}

/** A signed token (JWT, ES256). */
export function operatorToken(
  issuer: DevIssuer,
  operator: Operator,
  { now, random }: { readonly now: Instant; readonly random: Random },
): string {
  const iat = Math.floor(now / 1_000);
  const claims = {
    ...operator.attributes,
    iss: issuer.issuer,
    aud: issuer.audience,
    sub: operator.subject,
    ...(operator.tenant === undefined ? {} : { tenant: operator.tenant }),
    roles: operator.roles ?? [],
    scope: (operator.scopes ?? []).join(' '),
    ...(operator.case === undefined ? {} : { case: operator.case }),
    jti: encodeBase64Url(random(16)),
    iat,
    exp: iat + Math.floor((operator.ttlMs ?? TTL_MS) / 1_000),
  };
  const encode = (json: object): string => encodeBase64Url(utf8(JSON.stringify(json)));
  const input = `${encode({ alg: 'ES256', typ: 'JWT', kid: issuer.keyId })}.${encode(claims)}`;
  return `${input}.${encodeBase64Url(issuer.signer.sign(utf8(input)))}`;
}

function issuerOver(signer: LocalSigner, names: IssuerNames): DevIssuer {
  const coordinate = (from: number): string => encodeBase64Url(signer.publicRaw.subarray(from, from + 32));
  const key = { kid: signer.keyId, kty: 'EC', crv: 'P-256', x: coordinate(1), y: coordinate(33), use: 'sig', alg: 'ES256' };
  return { ...names, keyId: signer.keyId, keySet: `${JSON.stringify({ keys: [key] }, undefined, 2)}\n`, signer };
}

/** A key in a commit is everybody's key: the folder tells git to pass it over. */
function ignoreByGit(dir: string): Result<undefined, Problem> {
  const file = join(dir, '.gitignore');
  return existsSync(file) ? ok(undefined) : writeFile(file, '*\n', { mode: 0o644, as: 'replacement' });
}
