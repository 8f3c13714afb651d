import { encodeBase64Url, utf8 } from '@sallyport/crypto';
import { generateKey, signerFromPem } from '@sallyport/crypto/keys';
import { createPrivateKey, createPublicKey } from 'node:crypto';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startAgents, type Agents } from '../../support/agents.ts';
import { callsOfSession } from '../../support/audit.ts';
import { delegationPolicy } from '../../support/delegation-policy.ts';
import { codeOf } from '../../support/inbound.ts';
import type { HttpAnswer } from '../../support/world.ts';

let agents: Agents;
const { privatePem } = generateKey('es256');
const { x, y } = createPublicKey(createPrivateKey(privatePem)).export({ format: 'jwk' });
const folder = mkdtempSync(join(tmpdir(), 'sallyport-trust-'));
const files = { 'front-desk': join(folder, 'desk'), stock: join(folder, 'stock'), archive: join(folder, 'archive') };

/** What an assessor whose key billing's relation pins says of an agent; with another key, what a forger says. */
function statement(agent: string, pem = privatePem): string {
  const now = Math.floor(Date.now() / 1_000);
  const encode = (value: object): string => encodeBase64Url(utf8(JSON.stringify(value)));
  const claims = { sub: `demo.local/${agent}`, tier: 2, iat: now - 3_600, exp: now + 3_600 };
  const input = `${encode({ alg: 'ES256', kid: 'assessor', typ: 'sallyport-trust+jwt' })}.${encode(claims)}`;
  return `${input}.${encodeBase64Url(signerFromPem(pem).sign(utf8(input)))}`;
}

const TO_BILLING = '\n  to: [{ server: billing, scopes: ["orders:read", "orders:write"] }]';
const FROM = 'agents: [front-desk, stock, archive], roles: [support-rep]';

beforeAll(async () => {
  writeFileSync(files['front-desk'], `${statement('front-desk')}\n`);
  writeFileSync(files.stock, statement('stock', generateKey('es256').privatePem));
  const names = ['front-desk', 'stock', 'archive', 'billing'];
  agents = await startAgents(
    names,
    ({ world, ...about }) =>
      delegationPolicy({
        ...about,
        idp: world.idp,
        delegation: {
          'front-desk': TO_BILLING,
          stock: TO_BILLING,
          archive: TO_BILLING,
          billing: `
  from:
    - { ${FROM}, scopes: ["orders:read", "orders:write"], trust: { min: 2, keys: [{ kid: assessor, kty: EC, crv: P-256, x: ${x}, y: ${y} }] } }
    - { ${FROM}, scopes: ["orders:read"] }`,
        },
        rules: { archive: '\n  - { id: archive-ask, allow: [billing/ask], for: { roles: [support-rep] } }' },
      }),
    (name) => (name in files ? { trust_statement_file: files[name as keyof typeof files] } : {}),
  );
});
afterAll(async () => agents?.close());

const handedOnBy = async (name: string): Promise<string> => {
  const side = agents.sides[name];
  const session = (await side?.sidecar.session({ scope: 'orders:read orders:write', tenant_id: 'acme' })) as string;
  expect(codeOf((await side?.sidecar.call('billing/ask', {}, session)) as HttpAnswer)).toBe('200');
  return agents.tokenGiven('billing');
};
const callOut = async (tool: string, given: string): Promise<string> =>
  codeOf((await agents.sides['billing']?.sidecar.call(tool, { order_id: 'O-000123' }, given)) as HttpAnswer);

it('[R16.04] an agent that shows a signed statement is trusted as far as it says; without one, or with a forged one, least of all', async () => {
  const seen: unknown[] = [];
  for (const name of ['front-desk', 'stock', 'archive']) {
    const given = await handedOnBy(name);
    const [record] = await callsOfSession(agents.world, given, 1);
    seen.push([name, record?.rule_id, await callOut('orders/get_order', given), await callOut('orders/refund', given)]);
  }
  expect(seen).toEqual([
    ['front-desk', 'delegation:1', '200', '200'],
    ['stock', 'delegation:2', '200', 'delegation_not_allowed'],
    ['archive', 'delegation:2', '200', 'delegation_not_allowed'],
  ]);
  expect(agents.sides['billing']?.stub.requests.some(({ headers }) => headers['sallyport-trust'] !== undefined)).toBe(false);
});
