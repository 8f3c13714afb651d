/** Tokens that say nothing by themselves: a real provider is asked about each, and believed for a while. */

import { unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lastCall } from '../../support/audit.ts';
import { codeOf, startInbound, type InboundSide } from '../../support/inbound.ts';
import { opaqueProvider, type OpaqueProvider } from '../../support/opaque-provider.ts';
import { eventually, type HttpAnswer } from '../../support/world.ts';

const INVOKE = '/agents/support-triage/invoke';

let idp: OpaqueProvider;
let side: InboundSide;
beforeAll(async () => {
  idp = await opaqueProvider();
  side = await startInbound({
    secrets: { 'issuers/opaque': idp.secret },
    sidecar: { config: {} },
    documents: `kind: Issuer
issuer: ${idp.issuer}
audience: ${idp.audience}
introspection:
  url: ${idp.issuer}/token/introspection
  client_id: sallyport
  client_secret: { file: issuers/opaque }
  cache: 1s
network: loopback
claims: { subject: client_id, tenant: tenant_id, roles: roles }
`,
  });
});
afterAll(async () => {
  await side?.close();
  await idp?.close();
});

const ask = (token: string): Promise<HttpAnswer> =>
  side.ask(INVOKE, { json: { request: 'x' }, headers: { authorization: `Bearer ${token}` } });

describe('a token that says nothing by itself', () => {
  it('is its bearer’s, as the provider says, and is asked about once for a while', async () => {
    const token = await idp.token();
    const before = idp.asked();
    const answer = await ask(token);
    expect(answer.status).toBe(200);
    const session = answer.headers['sallyport-session-id'];
    expect(await lastCall(side.world, (call) => call.session_id === session)).toMatchObject({
      operator: 'worker',
      tenant_id: 'acme',
      decision: 'allow',
    });
    expect(idp.asked()).toBe(before + 1);
    expect(JSON.stringify(side.agent.requests.at(-1)?.headers)).not.toContain(token);
  });

  it('that was made up is refused, and so is one for another service', async () => {
    const before = side.agent.requests.length;
    expect(codeOf(await ask('made-up-token-of-somebody'))).toBe('unauthenticated');
    expect(codeOf(await ask(await idp.token('urn:somebody:else')))).toBe('unauthenticated');
    expect(side.agent.requests.length).toBe(before);
  });

  it('that its provider withdraws is refused as soon as the answer is old', async () => {
    const token = await idp.token();
    expect((await ask(token)).status).toBe(200);
    await idp.revoke(token);
    await eventually(async () => codeOf(await ask(token)) === 'unauthenticated', 'the end of what was believed');
  });

  it('stands beside tokens of other issuers, which nobody is asked about', async () => {
    const before = idp.asked();
    expect((await ask(side.token())).status).toBe(200);
    expect(codeOf(await ask(`${side.token().slice(0, -8)}AAAAAAAA`))).toBe('signature_invalid');
    expect(idp.asked()).toBe(before);
  });

  it('waits while the provider does not believe the gateway, or is away', async () => {
    const file = join(side.world.dir, 'secrets', 'issuers/opaque');
    const token = await idp.token();
    writeFileSync(file, 'not-the-secret-any-more', { mode: 0o600 });
    await eventually(async () => codeOf(await ask(token)) === 'identity_unavailable', 'another secret', 30_000);
    writeFileSync(file, idp.secret, { mode: 0o600 });
    await eventually(async () => (await ask(token)).status === 200, 'the secret again', 30_000);
    unlinkSync(file);
    await idp.close();
    await eventually(async () => codeOf(await ask(token)) === 'identity_unavailable', 'the outage');
  });
});
