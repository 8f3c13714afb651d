import { recordingUpstream, type RecordingUpstream } from '@sallyport/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ordersPolicy } from '../../support/policies.ts';
import { eventually, startWorld, type RunningSidecar, type World } from '../../support/world.ts';
import { deskOf, type Desk } from './desk.ts';

const SECRET = 'hunter2';
const DOCUMENTS = `
kind: Tool
name: orders/get_order
effect: read
route: { method: POST, path: /get_order }
arguments: { required: [order_id], properties: { order_id: { type: string }, note: { type: string } } }
---
kind: Tool
name: orders/refund
effect: write
route: { method: POST, path: /refund }
arguments: { required: [order_id, amount], properties: { order_id: { type: string }, amount: { type: number, format: decimal } } }
---
kind: Policy
agent: support-triage
rules:
  - id: read-orders
    allow: [orders/get_order]
    for: { roles: [support-rep] }
  - id: refund-own-order
    allow: [orders/refund]
    bind: [args.order_id == session.case]
    when: args.amount <= 50
  - { id: once-each, require: [orders/get_order], once: { per: args.order_id } }
`;

describe('explain', () => {
  let world: World;
  let up: RecordingUpstream;
  let desk: Desk;
  let sidecar: RunningSidecar;
  let socket: string;
  let session: string;

  beforeAll(async () => {
    up = await recordingUpstream();
    world = await startWorld();
    desk = deskOf(world, up.url);
    desk.write('policy/all.yaml', ordersPolicy(up.url, DOCUMENTS, world.idp));
    expect(await desk.admin('policy', 'publish', 'policy')).toMatchObject({ exit: 0 });
    sidecar = await world.startSidecar();
    await eventually(() => sidecar.ready(), 'readiness');
    const { admin } = sidecar.sidecar.addresses();
    socket = admin.kind === 'unix' ? admin.path : '';
    session = await sidecar.session({ ticket_id: `${SECRET}-case` });
    // A sidecar decides and explains by itself.
    await world.stopControlPlane();
  });
  afterAll(async () => {
    await world?.close();
    await up?.close();
    desk?.close();
  });

  const explain = (...argv: readonly string[]): ReturnType<Desk['type']> => desk.type('explain', ...argv, '--socket', socket);
  /** Makes a call and gives its id. */
  async function called(tool: string, args: unknown): Promise<string> {
    const answer = await sidecar.call(`orders/${tool}`, args, session);
    const own = answer.status === 200 ? undefined : (answer.json()['decision_id'] as string);
    if (own !== undefined) return own;
    const [newest] = (await explain('--limit', '1', '--json')).out.trim().split('\n');
    return (JSON.parse(newest ?? '') as { decision: { decision_id: string } }).decision.decision_id;
  }

  it('names rule, file, line, every unmet requirement and what would flip it, without the control plane', async () => {
    const id = await called('refund', { order_id: SECRET, amount: 900 });
    const { exit, out } = await explain(id, '--policy', 'policy');
    expect(exit).toBe(1);
    expect(out.replaceAll(/\d{4}-\S+Z|\d+\.?\d* (?:ms|s)|sha256:\w+|session +\S+,/g, '…')).toBe(`\
deny orders/refund: resource_binding_mismatch, by rule refund-own-order (policy/all.yaml:31)
  bind: \`args.order_id == session.case\` is false
  when: \`args.amount <= 50\` is false
  arguments at fault: order_id
to allow it:
  let args.order_id be \`session.case\`
  let args.amount be at most 50
asked    tools/call of agent support-triage for alice@company.com, tenant acme
… case ${SECRET}-case
at       …, decided in …
gate     authorization
policy   release 1, heard of … before, …
outcome  refused; nothing was forwarded
`);
  });

  it('never shows a value of an argument: not of one that was judged, was counted by, was wrong or was unknown', async () => {
    const value = `${SECRET}-value`;
    await called('get_order', { order_id: value });
    const ids = [
      await called('get_order', { order_id: value }),
      await called('refund', { order_id: value, amount: 1 }),
      await called('get_order', { order_id: [value] }),
      await called('get_order', { order_id: 'O-1', [`x`]: value }),
      await called('refund', { order_id: value, amount: value }),
    ];
    const told = await Promise.all(ids.flatMap((id) => [explain(id), explain(id, '--json')]));
    expect(told.map(({ exit }) => exit)).toEqual(ids.flatMap(() => [1, 1]));
    const everything = [...told.map(({ out }) => out), (await explain('--json', '--limit', '1000')).out, (await explain()).out].join('\n');
    expect(everything).toContain('call_limit_exceeded');
    expect(everything).not.toContain(value);
    expect(everything).not.toContain(session);
  });

  it('says of an allowed call which rule allowed it, where that stands, and what came of it', async () => {
    const id = await called('get_order', { order_id: 'O-7' });
    const { exit, out } = await explain(id);
    expect([exit, out]).toEqual([0, expect.stringMatching(/^allow orders\/get_order, by rule read-orders \(all\.yaml:28\)$/m)]);
    expect(out).toMatch(/^outcome {2}ok \(200\) in [\d.]+ ms$/m);
  });

  it('knows nothing of an id that was never given or has left the window, and says where to look', async () => {
    const first = await called('refund', { order_id: 'gone', amount: 1 });
    expect((await explain(first)).exit).toBe(1);
    for (let i = 0; i < 1_000; i++) await sidecar.request('/tools/orders/refund', { body: '{}' });
    for (const id of [first, '01JD7Q2M8ZK4T6V9W1X3Y5A7B9']) {
      expect(await explain(id)).toMatchObject({
        exit: 1,
        out: '',
        err: expect.stringContaining(`the sidecar does not remember decision \`${id}\` (it keeps the last 1,000 of this start`),
      });
    }
  });

  it('lists the last ones, the newest last, and writes out what a caller put into a name', async () => {
    await sidecar.call('orders/%1b%5b2Jcleared', {}, session);
    await called('refund', { order_id: 'O-1', amount: 1 });
    const { exit, out } = await explain('--limit', '2');
    const lines = out.trimEnd().split('\n');
    expect([exit, lines.filter((line) => /^\d/.test(line))]).toMatchObject([
      0,
      [/ {2}deny /, / {2}deny orders\/refund /].map((one) => expect.stringMatching(one)),
    ]);
    // oxlint-disable-next-line no-control-regex -- that is what must not be there
    expect(out).not.toMatch(/[\u0000-\u0009\u000b-\u001f]/);
    const nobody = await explain('--session', 'nobody');
    expect([nobody.exit, nobody.out, nobody.err]).toEqual([0, '', 'no decision yet\n']);
  });

  it('follows new ones, each once, until Ctrl-C', async () => {
    const stop = new AbortController();
    const wanted: string[] = [];
    const following = desk.typeUntil(stop.signal, ['explain', '--follow', '--limit', '1', '--json', '--socket', socket], (out) => {
      // The first line is of the past: the reader is there.
      if (wanted.length === 0) {
        wanted.push('on the way');
        void (async () => {
          const ids = [await called('refund', { order_id: 'f', amount: 1 }), await called('get_order', { order_id: `f-${wanted.length}` })];
          wanted.splice(0, 1, ...ids);
          if (ids.every((id) => out.includes(id))) stop.abort();
        })();
      } else if (wanted.length === 2 && wanted.every((id) => out.includes(id))) stop.abort();
    });
    await eventually(() => wanted.length === 2, 'two calls');
    await called('refund', { order_id: 'last', amount: 1 });
    const { exit, out } = await following;
    expect(exit).toBe(0);
    for (const id of wanted) expect(out.split(`"decision_id":"${id}"`).length - 1).toBeGreaterThan(0);
    const ids = out
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { decision: { decision_id: string } }).decision.decision_id);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('finds the socket by the configuration, and says where it looked where there is none', async () => {
    desk.write('elsewhere/sidecar.yaml', `agent: support-triage\nstate_dir: ${sidecar.stateDir}\nroot_pin_file: pin\n`);
    expect((await desk.type('explain', '--config', 'elsewhere/sidecar.yaml')).exit).toBe(0);
    desk.write('bare.yaml', 'agent: support-triage\n');
    expect(await desk.type('explain', '--config', 'bare.yaml')).toMatchObject({ exit: 64, err: expect.stringContaining('bare.yaml') });
    expect(await desk.type('explain')).toMatchObject({
      exit: 1,
      err: expect.stringContaining('there is neither `.sallyport/dev` nor `sidecar.yaml` (name its configuration with --config'),
    });
    expect(await desk.type('explain', '--socket', 'nowhere')).toMatchObject({
      exit: 1,
      err: expect.stringContaining('is the sidecar running'),
    });
  });

  it.each([
    ['something that is no id', ['get_order'], '`get_order` is not the id of a decision'],
    ['an id and a list', ['01JD7Q2M8ZK4T6V9W1X3Y5A7B9', '--follow'], 'an id stands for one decision'],
    ['more than there can be', ['--limit', '1001'], '`--limit` is more than 1000'],
  ])('refuses %s', async (_, argv, message) => {
    expect(await explain(...argv)).toMatchObject({ exit: 2, err: expect.stringContaining(message) });
  });

  it('is not to be had by the agent: its port knows none of the socket’s paths, with a session or without', async () => {
    const id = await called('refund', { order_id: 'O-1', amount: 1 });
    for (const path of ['/decisions', `/decisions/${id}`, '/status', '/drain'])
      for (const headers of [{}, { 'sallyport-session': session }])
        for (const method of ['GET', 'POST']) expect((await sidecar.request(path, { method, headers })).status).toBeGreaterThanOrEqual(400);
    expect((await explain(id)).exit).toBe(1);
  });
});
