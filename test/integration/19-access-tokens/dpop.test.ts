/** Tokens that an identity provider bound to a key, presented at a real sidecar by the one who has it and by one who has not. */

import { dpopProof, issuerKeyPair, recordingUpstream, type ProofOf, type RecordingUpstream } from '@sallyport/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ordersPolicy, READ_ORDERS } from '../../support/policies.ts';
import { type RealIssuer, realIssuer } from '../../support/real-issuer.ts';
import { eventually, startWorld, type HttpAnswer, type RunningSidecar, type World } from '../../support/world.ts';

const holder = issuerKeyPair('ES256', 'holder');
const thief = issuerKeyPair('ES256', 'thief');

let world: World;
let up: RecordingUpstream;
let idp: RealIssuer;
let sidecar: RunningSidecar;

const boundToken = (): Promise<string> => idp.token((url) => dpopProof(holder, { method: 'POST', url, madeAt: Date.now() }));
const proofFor = (token: string, over: Partial<ProofOf> = {}, key: typeof holder = holder): string =>
  dpopProof(key, { method: 'POST', url: `${sidecar.url}/session`, madeAt: Date.now(), token, ...over });
const present = (headers: Record<string, string | string[]>): Promise<HttpAnswer> => sidecar.request('/session', { headers });
const code = async (headers: Record<string, string | string[]>): Promise<unknown> => {
  const answer = await present(headers);
  return answer.status === 201 ? 'opened' : answer.json()['code'];
};
/** A proof made within seconds of the start of a sidecar is refused: it may have been spent before. */
const pastItsStart = (): Promise<unknown> =>
  eventually(async () => {
    const token = await boundToken();
    return (await code({ authorization: `DPoP ${token}`, dpop: proofFor(token) })) === 'opened';
  }, 'the first proof that is taken');

beforeAll(async () => {
  up = await recordingUpstream();
  world = await startWorld();
  idp = await realIssuer();
  Object.assign(idp.wishes, { claims: { tid: 'acme', groups: ['support-rep'] } });
  await world.admin.publish(`${ordersPolicy(up.url, READ_ORDERS, world.idp)}---
kind: Issuer
issuer: ${idp.url}
audience: sallyport
discovery: true
network: loopback
claims: { tenant: tid, roles: groups }
`);
  sidecar = await world.startSidecar();
  await eventually(() => sidecar.ready(), 'readiness');
});
afterAll(async () => {
  await world?.close();
  await up?.close();
  await idp?.close();
});

describe('a token that its provider bound to a key', () => {
  it('opens a session with a proof, and its call is served', async () => {
    await pastItsStart();
    const token = await boundToken();
    const opened = await present({ authorization: `DPoP ${token}`, dpop: proofFor(token) });
    expect(opened.status).toBe(201);
    const answer = await sidecar.call('orders/get_order', { order_id: 'O-000123' }, opened.json()['token'] as string);
    expect([answer.status, up.requests.at(-1)?.headers['dpop']]).toEqual([200, undefined]);
  });

  it('opens nothing for a thief', async () => {
    const token = await boundToken();
    const spent = proofFor(token);
    expect(await code({ authorization: `DPoP ${token}`, dpop: spent })).toBe('opened');
    const scheme = `DPoP ${token}`;
    expect({
      'as a bearer’s': await code({ authorization: `Bearer ${token}` }),
      'as a bearer’s beside a proof': await code({ authorization: `Bearer ${token}`, dpop: proofFor(token) }),
      'without a proof': await code({ authorization: scheme }),
      'with a proof by another key': await code({ authorization: scheme, dpop: proofFor(token, {}, thief) }),
      'with a proof that was spent': await code({ authorization: scheme, dpop: spent }),
      'with a proof for another path': await code({ authorization: scheme, dpop: proofFor(token, { url: `${sidecar.url}/mcp/orders` }) }),
      'with a proof for the provider': await code({ authorization: scheme, dpop: proofFor(token, { url: `${idp.url}/token` }) }),
      'with two proofs': await code({ authorization: scheme, dpop: [proofFor(token), proofFor(token)] }),
    }).toEqual({
      'as a bearer’s': 'unauthenticated',
      'as a bearer’s beside a proof': 'unauthenticated',
      'without a proof': 'unauthenticated',
      'with a proof by another key': 'unauthenticated',
      'with a proof that was spent': 'replay_detected',
      'with a proof for another path': 'unauthenticated',
      'with a proof for the provider': 'unauthenticated',
      'with two proofs': 'malformed_request',
    });
  });

  it('an unbound token presented by DPoP is refused, and the same as a bearer’s is good', async () => {
    const token = await idp.token();
    expect(await code({ authorization: `DPoP ${token}`, dpop: proofFor(token) })).toBe('unauthenticated');
    expect(await code({ authorization: `Bearer ${token}` })).toBe('opened');
  });

  it('a proof that was spent before a restart is not taken after it', async () => {
    const token = await boundToken();
    const spent = proofFor(token);
    expect(await code({ authorization: `DPoP ${token}`, dpop: spent })).toBe('opened');
    await sidecar.drain();
    sidecar = await world.startSidecar({
      withToken: false,
      config: { outbound: { listen: { kind: 'tcp', host: '127.0.0.1', port: sidecar.port } } },
    });
    await eventually(() => sidecar.ready(), 'readiness');
    expect(await code({ authorization: `DPoP ${token}`, dpop: spent })).toBe('replay_detected');
    await pastItsStart();
  });
});
