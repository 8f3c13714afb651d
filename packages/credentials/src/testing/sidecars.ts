/** Sidecars with certified keys in two trust domains, and lists of hops among them, for tests of delegation. */

import { signerFromPem } from '@sallyport/crypto/keys';
import {
  type DelegationRules,
  type Hop,
  type HopGrant,
  type HopRoot,
  type ProvenHop,
  type SpiffeId,
  nextHop,
  readHop,
} from '@sallyport/identity';
import type { Instant, JsonObject } from '@sallyport/model';
import { type IssueTestIdentity, type TestAuthority, testAuthority } from '@sallyport/testkit';
import { digestOfHop } from '../delegation/digest-of-hop.ts';
import { type DelegationAuthorities, type HopSigner, signHop } from '../delegation/hop-token.ts';

export const NOW: Instant = 1_800_000_000_000 as Instant;
export const OWN = 'test.sallyport.dev';
export const PARTNER = 'partner.example';

/** With whom the lists begin. */
export const ROOT: HopRoot = { kind: 'human', subject: 'alice@company.com', tenant: 'acme', authenticatedAt: (NOW - 60_000) as Instant };

/** A sidecar that can sign hops. */
export interface TestSidecar {
  readonly id: SpiffeId;
  readonly signer: HopSigner;
}

export const own: TestAuthority = await testAuthority(OWN);
export const partner: TestAuthority = await testAuthority(PARTNER);
export const authorities: DelegationAuthorities = new Map([
  [OWN, [own.ca.certificate]],
  [PARTNER, [partner.ca.certificate]],
]);

/** A sidecar of an agent, its key certified for assertions unless said otherwise. */
export async function sidecar(agent: string, by: TestAuthority = own, options: IssueTestIdentity = {}): Promise<TestSidecar> {
  const path = `/sidecar/${agent}/1`;
  const { chain, privatePem } = await by.issue(path, { usage: 'assertion', ...options });
  const signer = signerFromPem(privatePem);
  return { id: `spiffe://${by.trustDomain}${path}` as SpiffeId, signer: { signer, chain: chain.slice(0, 1) } };
}

export const a: TestSidecar = await sidecar('agent-a');
export const b: TestSidecar = await sidecar('agent-b');
export const c: TestSidecar = await sidecar('agent-c');
export const d: TestSidecar = await sidecar('agent-d');
export const x: TestSidecar = await sidecar('agent-x', partner);

/** Rules of a sidecar that is called by another. */
export function rules(self: TestSidecar, from: TestSidecar, more: Partial<DelegationRules> = {}): DelegationRules {
  return { self: self.id, from: from.id, now: NOW, depthMax: 4, foreign: new Map([[PARTNER, { scopes: ['orders:read'] }]]), ...more };
}

/** A hop by `from` to `to`, honest but for `bend`. */
export async function hop(
  entered: readonly string[],
  from: TestSidecar,
  to: TestSidecar,
  bend: Partial<Hop> = {},
  grant: Partial<HopGrant> = {},
): Promise<string> {
  const made = nextHop({
    entered: entered.map(proven),
    self: from.id,
    audience: to.id,
    transaction: 'transaction-1',
    root: ROOT,
    scopes: ['orders:read', 'orders:write'],
    authority: 'transferred',
    depthMax: 8,
    now: NOW,
    ...grant,
  });
  if (!made.ok) throw new Error(made.error.detail);
  return signHop({ ...made.value, ...bend }, from.signer);
}

/** The lists of the hops a → b → c → d, at each of their ends. */
export async function line(): Promise<readonly [string, string, string]> {
  const first = await hop([], a, b);
  const second = await hop([first], b, c, {}, { scopes: ['orders:read'], authority: 'retained' });
  const third = await hop([first, second], c, d, {}, { scopes: ['orders:read'] });
  return [first, second, third];
}

function proven(token: string): ProvenHop {
  const [, payload = ''] = token.split('.');
  const read = readHop(JSON.parse(Buffer.from(payload, 'base64url').toString()) as JsonObject);
  if (!read.ok) throw new Error('not a hop');
  return { hop: read.value, digest: digestOfHop(token) };
}
