/** Sessions that no person asks for: a schedule's and an event's, as the bundle allows them, by an agent that proves itself. */

import { recordingUpstream, type RecordingUpstream } from '@sallyport/testkit';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ordersPolicy } from '../../support/policies.ts';
import { eventually, startWorld, type HttpAnswer, type RunningSidecar, type World } from '../../support/world.ts';

const KEY = 'k'.repeat(40);

const SESSIONS = `sessions:
  roots: [operator, schedule, event]
  jobs:
    - name: nightly-report
      root: schedule
      as: { principal: nightly-report, tenant: acme, roles: [reporter], scopes: ["orders:read"] }
      task: reports
      purpose: the morning report
      max: { count: 3, within: 1h }
    - { name: ticket-created, root: event }
    - { name: sweep, root: event, as: { principal: sweeper, tenant: acme, roles: [sweeper] } }`;

const DOCUMENTS = `
kind: Tool
name: orders/get_order
effect: read
route: { method: POST, path: /get_order }
arguments: { required: [order_id], properties: { order_id: { type: string } } }
---
kind: Tool
name: orders/approve
effect: write
route: { method: POST, path: /approve }
arguments: { required: [order_id], properties: { order_id: { type: string } } }
---
kind: Policy
agent: support-triage
rules:
  - id: reports
    allow: [orders/get_order]
    for: { roles: [reporter] }
    task: [reports]
    delegation: { roots: [schedule] }
    when: principal.kind == "service"
  - id: reps
    allow: [orders/get_order]
    for: { roles: [support-rep] }
  - id: people-approve
    allow: [orders/approve]
    for: { roles: [support-rep] }
    delegation: { roots: [operator] }
`;

let world: World;
let up: RecordingUpstream;
let sidecar: RunningSidecar;
/** One without a credential of the agent's own. */
let open: RunningSidecar;
let before: number;

const policy = (sessions = SESSIONS): string =>
  ordersPolicy(up.url, DOCUMENTS, world.idp).replace('sessions: { roots: [operator], idle: 15m, max: 8h }', sessions);
const begin = (job: string, headers: Record<string, string | string[]> = {}, at = sidecar): Promise<HttpAnswer> =>
  at.request('/session', { headers: { 'sallyport-agent': KEY, 'sallyport-job': job, ...headers } });
const operator = (claims: Record<string, unknown> = {}): string => `Bearer ${world.idp.mint(world.clock.wall(), { claims })}`;
const call = (tool: string, session: string): Promise<HttpAnswer> =>
  sidecar.request(`/tools/orders/${tool}`, {
    body: '{"order_id":"O-1"}',
    headers: { 'content-type': 'application/json', 'sallyport-agent': KEY, 'sallyport-session': session },
  });
const verdictOf = ({ status, text }: HttpAnswer): readonly [number, unknown] => [
  status,
  status < 300 ? undefined : (JSON.parse(text) as { readonly code: unknown }).code,
];
const tokenOf = (answer: HttpAnswer): string => {
  if (answer.status !== 201) throw new Error(`no session: ${answer.status} ${answer.text}`);
  return answer.json()['token'] as string;
};
const recordOf = (match: (line: Record<string, unknown>) => boolean, what: string): Promise<Record<string, unknown>> =>
  eventually(async () => (await world.admin.tail()).map((line) => JSON.parse(line) as Record<string, unknown>).findLast(match), what);
const claimsOf = (token: string): Record<string, unknown> =>
  JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as Record<string, unknown>;

beforeAll(async () => {
  up = await recordingUpstream();
  world = await startWorld();
  await world.admin.publish(policy());
  const file = join(world.dir, 'agent-key');
  writeFileSync(file, `${KEY}\n`, { mode: 0o600 });
  sidecar = await world.startSidecar({ config: { outbound: { agent_credential_file: file } } });
  open = await world.startSidecar({ name: 'two' });
  await eventually(async () => (await sidecar.ready()) && (await open.ready()), 'readiness');
});
afterAll(async () => {
  await world?.close();
  await up?.close();
});
beforeEach(() => (before = up.requests.length));

describe('a job that the bundle allows', () => {
  it('acts as the service that the bundle makes of it, and record and assertion say what began it', async () => {
    const session = tokenOf(await begin('nightly-report'));
    expect(verdictOf(await call('get_order', session))).toEqual([200, undefined]);
    const said = { root_kind: 'schedule', principal_kind: 'service', operator: 'nightly-report', purpose: 'the morning report' };
    const opened = await recordOf((line) => line['rule_id'] === 'job:nightly-report', 'the opening');
    expect(opened).toMatchObject({ ...said, action: 'session/open', decision: 'allow', authn_method: 'agent_credential' });
    const called = await recordOf((line) => line['tool'] === 'orders/get_order' && line['operator'] === 'nightly-report', 'the call');
    expect(called).toMatchObject({ ...said, decision: 'allow', tenant_id: 'acme', workflow_id: 'nightly-report', scope: 'orders:read' });
    const assertion = up.requests.at(-1)?.headers['sallyport-assertion'];
    expect(claimsOf(String(assertion))).toMatchObject({ sub: 'nightly-report', root_kind: 'schedule', purpose: 'the morning report' });
  });

  it('has no person’s rights: what only an operator may begin is refused, whatever role it has', async () => {
    const session = tokenOf(await begin('nightly-report'));
    expect((await call('approve', session)).status).toBe(403);
    expect(up.requests.length).toBe(before);
  });

  it('opens no more sessions than the bundle says', async () => {
    const answers = [await begin('nightly-report'), await begin('nightly-report'), await begin('nightly-report')];
    expect(answers.some(({ status }) => status === 429)).toBe(true);
    expect(verdictOf(await begin('nightly-report'))).toEqual([429, 'rate_limited']);
    const refused = await recordOf((line) => line['code'] === 'rate_limited', 'the refusal');
    expect(refused).toMatchObject({ kind: 'DECISION', decision: 'deny', operator: 'nightly-report', root_kind: 'schedule' });
    // Other jobs, and operators, are not counted with it.
    expect((await begin('sweep')).status).toBe(201);
    const person = await sidecar.request('/session', { headers: { 'sallyport-agent': KEY, authorization: operator() } });
    expect(person.status).toBe(201);
  });
});

describe('an event that carries its operator’s token', () => {
  it('is that operator’s session, and says that an event began it', async () => {
    const session = tokenOf(await begin('ticket-created', { authorization: operator({ ticket_id: 'T-9' }) }));
    expect(verdictOf(await call('get_order', session))).toEqual([200, undefined]);
    // What asks for a person at the beginning is refused, though it is the same person.
    expect(verdictOf(await call('approve', session))).toEqual([403, 'delegation_not_allowed']);
    const record = await recordOf((line) => line['case'] === 'T-9' && line['tool'] === 'orders/approve', 'the refusal');
    expect(record).toMatchObject({ operator: 'alice@company.com', principal_kind: 'person', root_kind: 'event', decision: 'deny' });
  });

  it('is refused with a token that is not good, and does not fall back to the job itself', async () => {
    const [header, payload] = operator().split('.');
    expect(verdictOf(await begin('sweep', { authorization: `${header}.${payload}.AAAA` }))).toEqual([401, 'signature_invalid']);
    expect(verdictOf(await begin('sweep', { authorization: 'Basic c3dlZXA6' }))).toEqual([401, 'unauthenticated']);
    expect(verdictOf(await begin('sweep', { authorization: '' }))).toEqual([401, 'unauthenticated']);
  });
});

describe('nobody opens a session as a job', () => {
  it.each<[string, () => Promise<HttpAnswer>, readonly [number, string]]>([
    ['that the bundle does not name', () => begin('weekly-report'), [403, 'no_matching_policy']],
    ['by another spelling of its name', () => begin('Nightly-Report'), [403, 'no_matching_policy']],
    ['by a member of every object', () => begin('constructor'), [403, 'no_matching_policy']],
    ['by two names at once', () => begin('sweep', { 'sallyport-job': ['sweep', 'sweep'] }), [400, 'malformed_request']],
    ['without the agent’s credential', () => begin('sweep', { 'sallyport-agent': 'x'.repeat(40) }), [401, 'unauthenticated']],
    ['that needs an operator’s token, without one', () => begin('ticket-created'), [401, 'unauthenticated']],
    ['where the agent proves itself by nothing', () => begin('sweep', {}, open), [401, 'unauthenticated']],
    [
      'where the agent proves itself by nothing, with an operator’s token',
      () => begin('ticket-created', { authorization: operator() }, open),
      [401, 'unauthenticated'],
    ],
    [
      'that its body names',
      () =>
        sidecar.request('/session', {
          body: '{"job":"sweep"}',
          headers: { 'content-type': 'application/json', 'sallyport-agent': KEY },
        }),
      [401, 'unauthenticated'],
    ],
    [
      'whose body says who it is',
      () =>
        sidecar.request('/session', {
          body: '{"principal":"admin"}',
          headers: { 'content-type': 'application/json', 'sallyport-agent': KEY, 'sallyport-job': 'sweep' },
        }),
      [400, 'malformed_request'],
    ],
  ])('%s', async (_, ask, verdict) => {
    expect(verdictOf(await ask())).toEqual(verdict);
  });

  it('names one on a call: the header opens sessions and means nothing else', async () => {
    const answer = await sidecar.request('/tools/orders/get_order', {
      body: '{"order_id":"O-1"}',
      headers: { 'content-type': 'application/json', 'sallyport-agent': KEY, 'sallyport-job': 'sweep' },
    });
    expect(verdictOf(answer)).toEqual([401, 'unauthenticated']);
    expect(up.requests.length).toBe(before);
  });

  it('from the moment at which the bundle no longer has it, or with other rights: its sessions are over', async () => {
    const publish = async (sessions: string): Promise<void> => {
      const text = policy(sessions).replace('    delegation: { roots: [schedule] }\n', '');
      const { releaseSeq } = await world.admin.publish(text);
      await eventually(() => sidecar.sidecar.readiness().release_seq === releaseSeq, 'the release');
    };
    const [first, person] = [tokenOf(await begin('sweep')), tokenOf(await begin('ticket-created', { authorization: operator() }))];
    expect(verdictOf(await call('get_order', first))).toEqual([403, 'tool_not_allowed']);
    await publish(SESSIONS.replace('roles: [sweeper]', 'roles: [sweeper, reporter]'));
    expect(verdictOf(await call('get_order', first))).toEqual([401, 'session_expired']);
    const second = tokenOf(await begin('sweep'));
    // It has the role now, and the task of another job.
    expect(verdictOf(await call('get_order', second))).toEqual([403, 'out_of_task']);
    await publish('sessions: { roots: [operator] }');
    expect(verdictOf(await begin('sweep'))).toEqual([403, 'no_matching_policy']);
    expect(verdictOf(await call('get_order', second))).toEqual([401, 'session_expired']);
    // The person's own rights were never the job's.
    expect(verdictOf(await call('get_order', person))).toEqual([200, undefined]);
  });
});
