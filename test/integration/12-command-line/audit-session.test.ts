import { recordingUpstream, type RecordingUpstream } from '@sallyport/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ordersPolicy } from '../../support/policies.ts';
import { eventually, startWorld, type RunningSidecar, type World } from '../../support/world.ts';
import { deskOf, type Desk } from './desk.ts';

/** A case of five interdependent tools: looked up before it is checked, checked before it is paid, each paid once. */
const DOCUMENTS = `${['find', 'check', 'note', 'pay', 'close']
  .map(
    (name) => `
kind: Tool
name: orders/${name}
effect: ${name === 'pay' || name === 'close' ? 'write' : 'read'}
route: { method: POST, path: /${name} }
arguments: { required: [order], properties: { order: { type: string } } }
---`,
  )
  .join('')}
kind: Policy
agent: support-triage
rules:
  - { id: find, allow: [orders/find] }
  - { id: note, allow: [orders/note] }
  - { id: check, allow: [orders/check], after: [orders/find] }
  - { id: pay, allow: [orders/pay], after: [orders/check], once: { per: args.order } }
  - { id: close, allow: [orders/close], after: [orders/pay, orders/note] }
`;

describe('audit session', () => {
  let world: World;
  let up: RecordingUpstream;
  let desk: Desk;
  let sidecar: RunningSidecar;
  let session: string;
  let id: string;

  const called = async (tool: string, order: string, isAvailable = true): Promise<number> => {
    up.answer({ kind: 'json', body: {}, status: isAvailable ? 200 : 503 });
    return (await sidecar.call(`orders/${tool}`, { order }, session)).status;
  };
  const audit = (...argv: readonly string[]): ReturnType<Desk['type']> => desk.admin('audit', 'session', ...argv);
  /** Every call is in the record, and of all but so many what came of it. */
  const shipped = async (count: number, open = 0): Promise<void> =>
    void (await eventually(async () => {
      const totals = (await audit(id, '--json')).json()['totals'] as { calls: number; unknown: number } | undefined;
      return totals?.calls === count && totals.unknown === open;
    }, `${count} calls`));

  beforeAll(async () => {
    up = await recordingUpstream();
    world = await startWorld();
    desk = deskOf(world, up.url);
    desk.write('policy/all.yaml', ordersPolicy(up.url, DOCUMENTS, world.idp));
    expect(await desk.admin('policy', 'publish', 'policy')).toMatchObject({ exit: 0 });
    sidecar = await world.startSidecar({ config: { audit: { checkpoint_interval_ms: 1_000 } } });
    await eventually(() => sidecar.ready(), 'readiness');
    const opened = await sidecar.request('/session', {
      headers: { authorization: `Bearer ${world.idp.mint(world.clock.wall(), { claims: { ticket_id: 'T-7' } })}` },
    });
    ({ token: session, session_id: id } = opened.json() as { token: string; session_id: string });
  });
  afterAll(async () => {
    await world?.close();
    await up?.close();
    desk?.close();
  });

  it('tells fifteen interdependent calls with three retries as eighteen attempts, each with what came of it', async () => {
    const seen: number[] = [];
    // Of each order the first three steps; a step that fails is tried again, and counts for nothing until it succeeds.
    for (const order of ['A', 'B', 'C']) {
      seen.push(await called('find', order, order !== 'A'));
      if (order === 'A') {
        // Looking up failed, so that checking is refused; the second try satisfies it.
        seen.push(await called('find', order));
      }
      seen.push(await called('check', order, order !== 'B'));
      if (order === 'B') seen.push(await called('check', order));
      seen.push(await called('note', order, order !== 'C'));
      if (order === 'C') seen.push(await called('note', order));
      seen.push(await called('pay', order));
      // Paid once: the fifth call of each is refused, and closing is allowed all the same.
      seen.push(order === 'C' ? await called('close', order) : await called('pay', order));
    }
    expect(seen).toHaveLength(18);
    expect(seen.filter((status) => status === 200)).toHaveLength(13);
    expect(seen.filter((status) => status === 403)).toHaveLength(2);

    await shipped(18);
    const { exit, json } = await audit(id, '--json', '--verify');
    const story = json() as {
      totals: Record<string, number>;
      verified: boolean;
      calls: { tool: string; decision: string; result: string; retry: number; code: string }[];
    };
    expect([exit, story.verified]).toEqual([0, true]);
    expect(story).toMatchObject({
      session_id: id,
      operator: 'alice@company.com',
      tenant_id: 'acme',
      agent_id: 'support-triage',
      case: 'T-7',
    });
    expect(story.totals).toEqual({ calls: 18, allowed: 16, denied: 2, ok: 13, failed: 3, unknown: 0, retries: 3, local: 0 });
    expect(story.calls.map(({ tool, result, retry }) => `${tool.slice(7)} ${result}${retry === 0 ? '' : ` again ${retry}`}`)).toEqual([
      'find upstream_error',
      'find ok again 1',
      'check ok',
      'note ok',
      'pay ok',
      'pay denied',
      'find ok',
      'check upstream_error',
      'check ok again 1',
      'note ok',
      'pay ok',
      'pay denied',
      'find ok',
      'check ok',
      'note upstream_error',
      'note ok again 1',
      'pay ok',
      'close ok',
    ]);
  });

  it('tells people the same, in lines, and what is not certain', async () => {
    const { exit, out } = await audit(id);
    expect(exit).toBe(0);
    const lines = out.trimEnd().split('\n');
    expect(lines.slice(0, 2)).toEqual([`session ${id}`, 'alice@company.com of tenant acme, through agent support-triage, case T-7']);
    expect(lines[5]?.trim()).toBe('orders/find answered 503');
    expect((await desk.admin('audit', 'tail', '--session', id)).out).toMatch(/ [0-9A-Z]{26} {2}orders\/find answered 503\n/);
    expect(lines[6]).toMatch(
      /^ {3}2 {2,}\+\d\.\d{3} s {2}allow {2}orders\/find \(retry 1\) +ok in [\d.]+ ms +rule find +release 1 {2}[0-9A-Z]{26}$/,
    );
    expect(out).toContain('\n18 calls: 16 allowed, 2 denied, 13 ok, 3 failed, 0 without outcome, 3 retries\n');
    expect(out).toContain('not certain: nothing here is proven; --verify proves it first\n');
  });

  it('with --verify says what is proven, and that a stream that goes on may hold more', async () => {
    const { exit, out } = await audit(id, '--verify');
    expect([exit, out]).toEqual([0, expect.stringMatching(/^proven: \d+ records of 1 stream are complete, in order and unchanged; /m)]);
    expect(out).toMatch(/^not certain: stream [0-9a-f]{32} has no end yet: more may follow$/m);
    expect(out).toMatch(/^opened \d{4}-\S+Z$/m);
    expect(out).toContain('recorded by spiffe://demo.local/sidecar/support-triage/one\n');
  });

  it('is told by the sidecar itself from its memory, which it does not call the record', async () => {
    const { admin } = sidecar.sidecar.addresses();
    const { exit, json } = await desk.type(
      'audit',
      'session',
      id,
      '--sidecar',
      '--json',
      '--socket',
      admin.kind === 'unix' ? admin.path : '',
    );
    expect([exit, json()]).toMatchObject([0, { totals: { calls: 18, retries: 3 }, verified: false, complete: false, streams: [] }]);
    expect(json()['doubts']).toEqual([expect.stringContaining('this is the sidecar’s memory, not the record')]);
  });

  it('says of a call that is out that nobody recorded what came of it', async () => {
    up.answer({ kind: 'hang' });
    const gone = new AbortController();
    const calling = fetch(`${sidecar.url}/tools/orders/find`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'sallyport-session': session },
      body: '{"order":"H"}',
      signal: gone.signal,
    }).catch(() => undefined);
    await shipped(19, 1);
    const { json } = await audit(id, '--json');
    expect(json()).toMatchObject({
      complete: false,
      totals: { unknown: 1 },
      doubts: expect.arrayContaining(['of 1 allowed call nobody recorded what came of it']),
    });
    gone.abort();
    await calling;
  });

  describe('from an export', () => {
    let lines: string[];
    const told = (file: string, ...argv: readonly string[]): ReturnType<Desk['type']> =>
      desk.type('audit', 'session', id, '--from', file, '--dir', world.dir, ...argv);

    beforeAll(async () => {
      await sidecar.drain();
      await eventually(async () => (await audit(id, '--verify', '--json')).json()['complete'] === true, 'a closed stream');
      const exported = await desk.admin('audit', 'tail', '--view', 'records');
      desk.write('export.ndjson', exported.bytes);
      lines = desk.read('export.ndjson').trimEnd().split('\n');
      await world.stopControlPlane();
    });

    it('is told and proven with no network, and is complete once its stream is closed', async () => {
      const { exit, out } = await told('export.ndjson', '--verify');
      expect([exit, out]).toEqual([0, expect.stringContaining('\ncomplete: the record of this session has its end\n')]);
      expect((await told('export.ndjson', '--json')).json()).toMatchObject({ verified: false, complete: false, totals: { calls: 19 } });
    });

    it.each([
      ['edited', (all: string[], i: number) => all.with(i, (all[i] ?? '').replace('"decision":"deny"', '"decision":"allow"'))],
      ['deleted', (all: string[], i: number) => all.toSpliced(i, 1)],
      ['cut off', (all: string[]) => all.slice(0, -3)],
    ])('tells nothing of records that were %s, when asked to prove them', async (_, bend) => {
      const i = lines.findIndex((line) => line.includes('"decision":"deny"'));
      desk.write('bent.ndjson', `${bend(lines, i).join('\n')}\n`);
      const { exit, out, err } = await told('bent.ndjson', '--verify');
      expect([exit, out, err]).toEqual([1, '', expect.stringContaining('not proven: ')]);
      expect(err).toContain('(nothing is told from records that are not proven)');
    });

    it('is unknown where it is not in the file; a file that is not there is said so', async () => {
      const other = await desk.type('audit', 'session', '5f0c1d2e3a4b5c6d.kH3mY0o1QmW9gqk2b8TzVw', '--from', 'export.ndjson');
      expect([other.exit, other.err]).toEqual([1, expect.stringContaining('there is no record of session')]);
      expect((await told('nowhere.ndjson')).exit).toBe(64);
    });
  });

  it.each([
    ['something that is no id', ['alice'], '`alice` is not the id of a session'],
    ['two sources at once', ['5f0c1d2e3a4b5c6d.kH3mY0o1QmW9gqk2b8TzVw', '--sidecar', '--from', 'x'], 'neither a file nor proof'],
    ['proof from memory', ['5f0c1d2e3a4b5c6d.kH3mY0o1QmW9gqk2b8TzVw', '--sidecar', '--verify'], 'neither a file nor proof'],
  ])('refuses %s', async (_, argv, message) => {
    expect(await desk.type('audit', 'session', ...argv)).toMatchObject({ exit: 2, err: expect.stringContaining(message) });
  });
});
