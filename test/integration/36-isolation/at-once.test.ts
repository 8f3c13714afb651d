/** An agent that serves several people at once can mix them up: what it may not do meanwhile, and when it may again. */

import { recordingUpstream, type RecordingUpstream, type ScriptedAnswer } from '@sallyport/testkit';
import { request as httpRequest } from 'node:http';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ALLOWED, codeOf } from '../../support/answers.ts';
import { recordOf } from '../../support/audit.ts';
import { startInbound, type InboundSide } from '../../support/inbound.ts';
import { ordersPolicy } from '../../support/policies.ts';
import { eventually, request, startWorld, type RunningSidecar, type World } from '../../support/world.ts';

const TOOLS = `
{ kind: Tool, name: orders/look, effect: read, route: { method: POST, path: /look } }
---
{ kind: Tool, name: orders/refund, effect: write, classes: [money], route: { method: POST, path: /refund } }
---
kind: Policy
agent: support-triage
rules:
  - { id: look, allow: [orders/look] }
  - { id: refund, allow: [orders/refund] }
---
kind: Test
cases:
  - { call: orders/look, expect: allow }
  - { call: orders/refund, expect: allow }
`;
const REFUSED = [429, 'rate_limited'] as const;

/** Answers at once but to one path, which waits until it is let go. */
function held(path: string): { readonly script: (request: { readonly target: string }) => ScriptedAnswer; letGo(): void } {
  const gate = Promise.withResolvers<void>();
  return {
    script: ({ target }) =>
      target.startsWith(path)
        ? { kind: 'parts', headers: { 'content-type': 'application/json' }, parts: ['{"ok"', ':true}'], between: () => gate.promise }
        : { kind: 'json', body: { ok: true } },
    letGo: () => gate.resolve(),
  };
}

describe('calls out', () => {
  let world: World;
  let orders: RecordingUpstream;
  let sidecar: RunningSidecar;
  let alice: string;
  let bob: string;
  const refund = async (session: string): Promise<unknown> => codeOf(await sidecar.call('orders/refund', {}, session));

  beforeAll(async () => {
    orders = await recordingUpstream();
    world = await startWorld();
    await world.admin.publish(ordersPolicy(orders.url, TOOLS, world.idp));
    sidecar = await world.startSidecar();
    await eventually(() => sidecar.ready(), 'readiness');
  });
  beforeEach(async () => {
    orders.answer({ kind: 'json', body: { ok: true } });
    [alice, bob] = [await sidecar.session(), await sidecar.session({ sub: 'bob@company.com' })];
  });
  afterAll(async () => {
    await world?.close();
    await orders?.close();
  });

  it('of sessions that merely are open do not count', async () => {
    expect([await refund(alice), await refund(bob)]).toEqual([ALLOWED, ALLOWED]);
  });

  it('while a call of another session is under way move no money; reads go on, and its own session too', async () => {
    const reading = held('/look');
    orders.answer(reading.script);
    const before = orders.requests.length;
    const look = sidecar.call('orders/look', {}, alice);
    await orders.arrived(before + 1);
    const refused = await sidecar.call('orders/refund', {}, bob);
    expect([codeOf(refused), refused.headers['retry-after'], refused.json()['retryable'], refused.json()['next_action']]).toEqual([
      REFUSED,
      '1',
      true,
      'wait',
    ]);
    expect(await recordOf(world, refused)).toMatchObject({
      gate: 'reservation',
      code: 'rate_limited',
      detail: expect.stringContaining('serves 2 sessions'),
    });
    // Alone, alice's own is one session, however many calls it has under way.
    expect(await refund(alice)).toEqual(ALLOWED);
    expect(orders.requests.map(({ target }) => target).slice(before)).toEqual(['/look', '/refund']);
    reading.letGo();
    expect(codeOf(await look)).toEqual(ALLOWED);
    expect(await refund(bob)).toEqual(ALLOWED);
  });

  it('whose agent has left are under way until they are over, and are not afterwards', async () => {
    const reading = held('/look');
    orders.answer(reading.script);
    const before = orders.requests.length;
    const headers = { 'content-type': 'application/json', 'sallyport-session': alice };
    const left = httpRequest({ host: '127.0.0.1', port: sidecar.port, path: '/tools/orders/look', method: 'POST', headers, agent: false });
    left.on('error', () => undefined);
    left.end('{}');
    await orders.arrived(before + 1);
    left.destroy();
    reading.letGo();
    await eventually(async () => JSON.stringify(await refund(bob)) === JSON.stringify(ALLOWED), 'the call that was left is over');
  });

  it('whose tool breaks off leave nothing behind', async () => {
    for (const kind of ['close', 'close_mid_body'] as const) {
      orders.answer({ kind });
      await sidecar.call('orders/look', {}, alice);
      orders.answer({ kind: 'json', body: { ok: true } });
      expect(await refund(bob)).toEqual(ALLOWED);
    }
  });

  it('may be of as many sessions as the agent’s document says', async () => {
    await world.admin.publish(
      ordersPolicy(orders.url, TOOLS, world.idp).replace('idle: 15m, max: 8h }', 'idle: 15m, max: 8h, concurrent_max: 2 }'),
    );
    await eventually(async () => {
      const ready = await request(sidecar.healthPort, '/readyz', { method: 'GET' });
      return ready.json()['release_seq'] === 2;
    }, 'the release');
    const carol = await sidecar.session({ sub: 'carol@company.com' });
    const reading = held('/look');
    orders.answer(reading.script);
    const before = orders.requests.length;
    const first = sidecar.call('orders/look', {}, alice);
    await orders.arrived(before + 1);
    expect(await refund(bob)).toEqual(ALLOWED);
    const second = sidecar.call('orders/look', {}, bob);
    await eventually(() => orders.requests.filter(({ target }) => target === '/look').length >= 2, 'the second read');
    expect(await refund(carol)).toEqual(REFUSED);
    reading.letGo();
    await Promise.all([first, second]);
    expect(await refund(carol)).toEqual(ALLOWED);
  });
});

describe('an agent that is answering two people', () => {
  let side: InboundSide;
  beforeAll(async () => {
    const tool = '{ kind: Tool, name: orders/refund, effect: write, classes: [money], route: { method: POST, path: /refund } }';
    const rules = 'kind: Policy\nagent: support-triage\nrules:\n  - { id: refund, allow: [orders/refund] }';
    const suite = 'kind: Test\ncases:\n  - { call: orders/refund, expect: allow }\n';
    side = await startInbound({ documents: `${tool}\n---\n${rules}\n---\n${suite}` });
  });
  afterAll(async () => side?.close());

  it('moves no money for either, until it has answered one of them', async () => {
    const answering = held('/slow');
    side.agent.answer(answering.script);
    const ask = (path: string, sub: string): ReturnType<InboundSide['ask']> =>
      side.ask(`/agents/support-triage/${path}`, { json: {}, headers: { authorization: `Bearer ${side.token({ sub })}` } });
    const sessionAt = (index: number): string => String(side.agent.requests[index]?.headers['sallyport-session']);
    const refund = async (session: string): Promise<unknown> => codeOf(await side.sidecar.call('orders/refund', {}, session));

    const alice = ask('slow', 'alice@company.com');
    await side.agent.arrived(1);
    expect(await refund(sessionAt(0))).toEqual(ALLOWED);
    const bob = ask('slow', 'bob@company.com');
    await side.agent.arrived(2);
    expect([await refund(sessionAt(0)), await refund(sessionAt(1))]).toEqual([REFUSED, REFUSED]);
    answering.letGo();
    expect([(await alice).status, (await bob).status]).toEqual([200, 200]);
    expect([await refund(sessionAt(0)), await refund(sessionAt(1))]).toEqual([ALLOWED, ALLOWED]);
  });
});
