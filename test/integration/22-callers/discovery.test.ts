/** A client that has no token yet learns where to get one, and nothing else. */

import { once } from 'node:events';
import { connect, constants } from 'node:http2';
import { issuerServer, type IssuerServer } from '@sallyport/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { codeOf, startInbound, type InboundSide } from '../../support/inbound.ts';
import { allCalls, recordOf } from '../../support/audit.ts';

const WELL_KNOWN = '/.well-known/oauth-protected-resource';
const AGENT = '/agents/support-triage';
const NOBODY = { headers: { authorization: undefined } };

let idp: IssuerServer;
let side: InboundSide;
beforeAll(async () => {
  idp = await issuerServer();
  side = await startInbound({
    inbound: { public_url: 'https://gate.example' },
    documents: `kind: Issuer
issuer: ${idp.url}
audience: https://gate.example/agents/support-triage
discovery: true
network: loopback
---
kind: Issuer
issuer: https://login.example
audience: sallyport
jwks_uri: https://login.example/keys
`,
  });
});
afterAll(async () => {
  await side?.close();
  await idp?.close();
});

describe('the metadata of the port', () => {
  it('is told by a refusal, and names who issues tokens', async () => {
    const refused = await side.ask(`${AGENT}/invoke`, { json: {}, ...NOBODY });
    const url = /resource_metadata="([^"]*)"/.exec(refused.headers['www-authenticate'] ?? '')?.[1];
    expect([refused.status, url]).toEqual([401, `https://gate.example${WELL_KNOWN}${AGENT}`]);
    const answer = await side.ask(new URL(url ?? '').pathname, { method: 'GET', ...NOBODY });
    expect([answer.status, answer.headers['content-type'], answer.headers['cache-control']]).toEqual([200, 'application/json', 'no-store']);
    expect(answer.json()).toEqual({
      resource: 'https://gate.example/agents/support-triage',
      authorization_servers: [idp.url, side.world.idp.issuer, 'https://login.example'].toSorted(),
      bearer_methods_supported: ['header'],
      dpop_signing_alg_values_supported: ['ES256', 'ES384', 'RS256', 'PS256', 'EdDSA'],
    });
    const whole = await side.ask(WELL_KNOWN, { method: 'GET', ...NOBODY });
    expect(whole.json()['resource']).toBe('https://gate.example');
  });

  it('is made of nothing that is asked with, and is on nobody’s record', async () => {
    const headers = { authorization: undefined, host: 'evil.example', 'x-forwarded-host': 'evil.example' };
    expect(
      (await side.ask(`${WELL_KNOWN}${AGENT}`, { method: 'GET', headers, connection: { servername: 'localhost' } })).text,
    ).not.toContain('evil');
    // What is asked after it is on record; it is not.
    const after = await recordOf(side.world, await side.ask(WELL_KNOWN, { method: 'POST', ...NOBODY }));
    const asked = (await allCalls(side.world)).filter(({ action }) => action.includes('well-known'));
    expect(asked.map(({ decision_id: id }) => id)).toEqual([after.decision_id]);
  });

  it.each<[what: string, method: string, path: string]>([
    ['another agent’s', 'GET', `${WELL_KNOWN}/agents/other`],
    ['with a query', 'GET', `${WELL_KNOWN}?x=1`],
    ['in another spelling', 'GET', `/.well-known/./oauth-protected-resource`],
    ['by another method', 'POST', WELL_KNOWN],
    ['of another kind', 'GET', '/.well-known/openid-configuration'],
  ])('%s is asked for like anything else: with a credential', async (_what, method, path) => {
    expect(['unauthenticated', 'malformed_request']).toContain(codeOf(await side.ask(path, { method, ...NOBODY })));
  });
});

it('a port that is not told its name tells nobody where tokens are had', async () => {
  const plain = await startInbound();
  try {
    const refused = await plain.ask(`${AGENT}/invoke`, { json: {}, ...NOBODY });
    expect(refused.headers['www-authenticate']).toBe('Bearer realm="sallyport"');
    expect(codeOf(await plain.ask(WELL_KNOWN, { method: 'GET', ...NOBODY }))).toBe('unauthenticated');
  } finally {
    await plain.close();
  }
});

it('a stranger who asks for it and leaves is no defect of ours, and no line in the log', async () => {
  const session = connect(`https://localhost:${side.port}`, { ca: side.ca });
  session.on('error', () => undefined);
  await once(session, 'connect');
  for (let i = 0; i < 20; i++) {
    const stream = session.request({ ':path': WELL_KNOWN });
    stream.on('error', () => undefined);
    stream.close(constants.NGHTTP2_CANCEL);
  }
  // The port has seen all of them when it has answered one that came behind.
  const last = session.request({ ':path': WELL_KNOWN });
  last.resume();
  await once(last, 'end');
  session.destroy();
  expect(side.world.log.filter((line) => Object.values(JSON.parse(line) as object).includes('bug'))).toEqual([]);
});
