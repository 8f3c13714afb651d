/**
 * What a refusal says: enough for a workflow to choose its next step, nothing of why, and of what is forbidden no more than
 * of what is not there. By the table for every code, and by what comes over the wire for every code that a policy answers with.
 */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ANSWERS, DENIAL_CODES, deny, publicDenial, type DenialCode } from '@sallyport/model';
import { recordingUpstream, type RecordingUpstream } from '@sallyport/testkit';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ALLOWED, codeOf } from '../../support/answers.ts';
import { recordOf } from '../../support/audit.ts';
import { mcpDenialOf, mcpPost, toolCall } from '../../support/mcp-clients.ts';
import { scriptedMcp } from '../../support/mcp-server.ts';
import { issuerDocument } from '../../support/policies.ts';
import { AGENT, eventually, startWorld, type HttpAnswer, type RunningSidecar, type World } from '../../support/world.ts';

/** Words that stand in the policy and in nobody's request, and must stand in nobody's answer. Birds, mostly. */
const INSIDE = /zebra|falcon|osprey|ibis|QX7|kestrel|rival|mallory|heron|4711|condor|eagle|8123|plover|dodo/i;
/** Of a control, as a user would recognise one. */
const OF_A_CONTROL = /polic|rule|gateway|firewall|secur|den(y|ied)|forbid|block|scope|token|bundle|permission denied|not allowed|detect/i;

/** Each demand that a rule can make, on a tool of its own; `SERVER` is the tool's. */
const DEMANDS: Readonly<Record<string, string>> = {
  hidden: 'for: { roles: [falcon-squad] }',
  scoped: 'for: { roles: [support-rep] }, scopes: ["osprey:write"]',
  tasked: 'for: { roles: [support-rep] }, task: [ibis-task]',
  handed: 'for: { roles: [support-rep] }, delegation: { roots: [schedule] }',
  bound: 'for: { roles: [support-rep] }, bind: [args.id == session.case]',
  narrowed: 'for: { roles: [support-rep] }, arguments: { id: { pattern: "^QX7-[0-9]+$" } }',
  later: 'for: { roles: [support-rep] }, after: [SERVER/hidden_dodo]',
  few: 'for: { roles: [support-rep] }, session: { denials_max: 0 }',
  once_upon: 'for: { roles: [support-rep] }, valid: { until: 2020-04-11T00:00:00Z }',
  conditional: 'for: { roles: [support-rep] }, when: args.id == "kestrel" || args.amount > env.limit_heron',
  justified: 'for: { roles: [support-rep] }, justification: { chars_min: 471 }',
  risky: 'for: { roles: [support-rep] }, risk: { max: 47 }',
  proven: 'for: { roles: [support-rep] }, step_up: { acr: [eagle-acr] }',
  reviewed: 'for: { roles: [support-rep] }, reviewed: args.id',
  approved: 'for: { roles: [support-rep] }, approval: { by: { role: condor-lead } }',
  once: 'for: { roles: [support-rep] }, once: {}',
  costly: 'for: { roles: [support-rep] }, budget: { sum: args.amount, max: "8123.5" }',
  denied: 'for: { roles: [support-rep] }',
  plain: 'for: { roles: [support-rep] }',
  hidden_dodo: 'for: { principals: [mallory@rival.test], tenants: [rival-tenant] }',
  reset_password: 'for: { roles: [support-rep] }, step_up: { max_age: 5m, amr: [otp] }',
};

const policy = (http: string, mcp: string): string => {
  const servers = { orders: `http: { url: "${http}" }`, desk: `mcp: { url: "${mcp}/mcp" }` };
  const schema = 'arguments: { properties: { id: { type: string, maxLength: 20 }, amount: { type: number, format: decimal } } }';
  const documents = Object.entries(servers).flatMap(([server, where]) => [
    `kind: ToolServer\nname: ${server}\n${where}\nnetwork: loopback`,
    ...Object.keys(DEMANDS).map((tool) => {
      const route = server === 'orders' ? `\nroute: { method: POST, path: /${tool} }` : '';
      return `kind: Tool\nname: ${server}/${tool}\neffect: write\nclasses: [plover]${route}\n${schema}`;
    }),
    `kind: Policy\nagent: ${AGENT}\nrules:\n${[
      ...Object.entries(DEMANDS).map(
        ([tool, demand]) => `  - { id: zebra-${server}-${tool.replaceAll('_', '-')}, allow: [${server}/${tool}], ${demand} }`,
      ),
      `  - { id: zebra-${server}-never, deny: [${server}/denied], when: '!(principal.tenant in ["rival-tenant"])' }`,
    ]
      .join('\n')
      .replaceAll('SERVER', server)}`,
  ]);
  // A server that exists, for another agent.
  const other = `kind: Agent\nname: another-agent\nowner: team-rival\nuses: [vault]\n---\nkind: ToolServer\nname: vault\nhttp: { url: "${http}" }\nnetwork: loopback`;
  const head = `apiVersion: sallyport.dev/v1\nkind: Agent\nname: ${AGENT}\nowner: team-dodo\nuses: [orders, desk]\nsessions: { roots: [operator, schedule] }`;
  const values = 'kind: Environment\nvalues: { limit_heron: { decimal: "4711.5" } }';
  const check = `kind: Test\nagent: ${AGENT}\ngiven: { roles: [support-rep] }\ncases:\n  - { call: orders/plain, expect: allow }`;
  return [head, other, values, ...documents, check].join('\n---\n');
};

const NEXT_ACTIONS = [
  'fix_arguments',
  'authenticate',
  'step_up',
  'get_approval',
  'wait',
  'use_allowed_tool',
  'ask_user',
  'route_to_human',
  'revise_or_review',
  'contact_owner',
  'stop',
];

describe('the table of answers', () => {
  it('[R12.05] every next action is one of a closed set, which the page of denials lists, and none of it is idle', () => {
    const page = readFileSync(join(import.meta.dirname, '..', '..', '..', 'docs', 'spec', 'denials.md'), 'utf8');
    const row = page.split('\n').find((line) => line.startsWith('| `next_action` |')) ?? '';
    expect([...row.matchAll(/`([a-z_]+)`/g)].slice(1).map(([, name]) => name)).toEqual(NEXT_ACTIONS);
    expect(new Set(DENIAL_CODES.map((code) => ANSWERS[code].nextAction))).toEqual(new Set(NEXT_ACTIONS));
  });

  it.each(DENIAL_CODES)('[R12.05] %s: what to do next fits what is wrong', (code) => {
    const { status, nextAction, isTransient } = ANSWERS[code];
    // What passes by itself is waited for, and nothing else is.
    expect(nextAction === 'wait').toBe(isTransient);
    if (status === 401) expect(nextAction).toBe('authenticate');
    if ([409, 413, 415, 422, 431].includes(status)) expect(nextAction).toBe('fix_arguments');
    const chosen: Partial<Record<DenialCode, string>> = {
      step_up_required: 'step_up', // prompt for verification
      resource_binding_mismatch: 'ask_user', // ask what is meant
      no_matching_policy: 'use_allowed_tool', // fall back to what may be done
      tool_not_allowed: 'use_allowed_tool',
      method_not_allowed: 'use_allowed_tool',
      session_precondition_failed: 'use_allowed_tool',
      insufficient_scope: 'authenticate',
      requires_approval: 'get_approval',
      approval_invalid: 'get_approval',
      risk_too_high: 'route_to_human',
      budget_exceeded: 'route_to_human',
      call_limit_exceeded: 'stop',
      out_of_task: 'stop',
    };
    expect(nextAction).toBe(chosen[code] ?? nextAction);
  });

  it.each(DENIAL_CODES)('[R12.06] %s: what the user is told speaks of no control, and nothing inside comes out', (code) => {
    expect(ANSWERS[code].userMessage).not.toMatch(OF_A_CONTROL);
    expect(ANSWERS[code].userMessage.length).toBeGreaterThan(5);
    const denial = deny(code, 'rule zebra-1 wants ^QX7- of tenant rival', { ruleId: 'zebra-1' as never, fields: ['id'] });
    const told = JSON.stringify(publicDenial(denial, { decisionId: 'D1', effect: 'none' }));
    expect(told).not.toMatch(INSIDE);
    expect(Object.keys(JSON.parse(told) as object)).toEqual([
      'code',
      'status',
      'title',
      'decision_id',
      'effect',
      'retryable',
      'next_action',
      'user_message',
      'fields',
    ]);
  });
});

type Dialect = 'http' | 'mcp';

describe('refusals over the wire', () => {
  let world: World;
  let http: RecordingUpstream;
  let mcp: RecordingUpstream;
  let sidecar: RunningSidecar;
  let session: string;
  const call = (dialect: Dialect, tool: string, args: object = {}, token: string = session): Promise<HttpAnswer> =>
    dialect === 'http'
      ? sidecar.call(`orders/${tool}`, args, token)
      : mcpPost(sidecar, 'desk', toolCall(tool, args), { 'sallyport-session': token });
  const reached = (): number => http.requests.length + mcp.requests.filter(({ body }) => body.includes('tools/call')).length;

  beforeAll(async () => {
    [http, mcp] = await Promise.all([recordingUpstream(), recordingUpstream(scriptedMcp())]);
    world = await startWorld();
    await world.admin.publish(`${policy(http.url, mcp.url)}\n${issuerDocument(world.idp)}`);
    sidecar = await world.startSidecar();
    await eventually(() => sidecar.ready(), 'readiness');
  });
  beforeEach(async () => {
    session = await sidecar.session({ ticket_id: 'T-1' });
  });
  afterAll(async () => {
    await world?.close();
    await Promise.all([http?.close(), mcp?.close()]);
  });

  /** What is refused, with which code, and a word of the record that the answer keeps to itself. */
  const REFUSED: readonly (readonly [tool: string, code: DenialCode, inside: RegExp, args?: object])[] = [
    ['hidden', 'tool_not_allowed', /default-deny/],
    ['hidden_dodo', 'tool_not_allowed', /default-deny/],
    ['scoped', 'insufficient_scope', /osprey:write/],
    ['tasked', 'out_of_task', /ibis-task/],
    ['handed', 'delegation_not_allowed', /schedule/],
    ['bound', 'resource_binding_mismatch', /session\.case/, { id: 'T-2' }],
    ['narrowed', 'parameter_not_allowed', /zebra/, { id: 'x' }],
    ['later', 'session_precondition_failed', /hidden_dodo/],
    ['once_upon', 'no_matching_policy', /2020-04-11/],
    ['conditional', 'no_matching_policy', /kestrel|heron/, { id: 'x', amount: 1 }],
    ['justified', 'schema_violation', /471/],
    ['risky', 'risk_too_high', /47/],
    ['proven', 'step_up_required', /eagle-acr/],
    ['reviewed', 'session_precondition_failed', /zebra/, { id: 'x' }],
    ['approved', 'requires_approval', /condor-lead/],
    ['costly', 'budget_exceeded', /8123\.5/, { amount: 9000 }],
    ['denied', 'no_matching_policy', /zebra/],
    ['plain', 'schema_violation', /id/, { id: 7 }],
    ['plain', 'field_not_allowed', /not known/, { unheard_of: 7 }],
  ];

  describe.each(['http', 'mcp'] as const)('[R12.05 R12.06] over %s', (dialect) => {
    it.each(REFUSED.map((row) => ({ row, name: `${row[0]}: ${row[1]}` })))('$name', async ({ row: [tool, code, inside, args = {}] }) => {
      const before = reached();
      const answer = await call(dialect, tool, args);
      const { nextAction, userMessage } = ANSWERS[code];
      expect(mcpDenialOf(answer)).toMatchObject({ code, next_action: nextAction, user_message: userMessage, effect: 'none' });
      expect(JSON.stringify([answer.headers, answer.text.replaceAll(tool, '')])).not.toMatch(INSIDE);
      expect(reached()).toBe(before);
      const record = await recordOf(world, { ...answer, json: () => ({ ...mcpDenialOf(answer) }) });
      expect(`${record.rule_id} ${record.detail}`).toMatch(inside);
    });

    it('what was used up: call_limit_exceeded', async () => {
      expect((await call(dialect, 'once')).status).toBe(200);
      const answer = await call(dialect, 'once', { id: 'again' });
      expect(mcpDenialOf(answer)).toMatchObject({ code: 'call_limit_exceeded', next_action: 'stop' });
      expect(JSON.stringify([answer.headers, answer.text])).not.toMatch(INSIDE);
    });

    it('a session that has come to something: session_precondition_failed', async () => {
      expect(mcpDenialOf(await call(dialect, 'scoped'))).toMatchObject({ code: 'insufficient_scope' });
      const answer = await call(dialect, 'few');
      expect(mcpDenialOf(answer)).toMatchObject({ code: 'session_precondition_failed', next_action: 'use_allowed_tool' });
      expect(JSON.stringify([answer.headers, answer.text])).not.toMatch(INSIDE);
    });

    it('a credential for another step: tool_step_mismatch', async () => {
      const stepped = await sidecar.session({ tool_step: 'scoped' });
      const answer = await call(dialect, 'plain', {}, stepped);
      expect(mcpDenialOf(answer)).toMatchObject({ code: 'tool_step_mismatch', next_action: 'authenticate' });
      expect(JSON.stringify([answer.headers, answer.text])).not.toMatch(INSIDE);
    });

    it('a tool that fails and tells of its inside: upstream_error, and nothing of that', async () => {
      const failing = { kind: 'json', status: 500, body: { stack: 'dodo.ts:1', sql: 'select * from kestrel' } } as const;
      http.answer(failing);
      mcp.answer(scriptedMcp(() => failing));
      const answer = await call(dialect, 'plain');
      http.answer({ kind: 'json', body: { ok: true } });
      mcp.answer(scriptedMcp());
      expect(mcpDenialOf(answer)).toMatchObject({ code: 'upstream_error', next_action: 'wait' });
      expect(JSON.stringify([answer.headers, answer.text])).not.toMatch(INSIDE);
    });
  });

  it.each(['http', 'mcp'] as const)('[R12.07] a reset without fresh proof asks for verification, over %s', async (dialect) => {
    const before = reached();
    const answer = await call(dialect, 'reset_password');
    const told = mcpDenialOf(answer) as unknown as Readonly<Record<string, string>>;
    expect(told).toMatchObject({ code: 'step_up_required', status: 403, next_action: 'step_up' });
    expect(told['user_message']).toMatch(/verify that it is you/i);
    expect(told['user_message']).not.toMatch(OF_A_CONTROL);
    expect(answer.text).not.toMatch(/otp|amr|5m|zebra/);
    expect(reached()).toBe(before);
    const proven = await sidecar.session({ amr: ['otp'] });
    expect(codeOf(await call(dialect, 'reset_password', {}, proven))).toEqual(ALLOWED);
    expect(reached()).toBe(before + 1);
  });

  describe('[R12.17] what is forbidden and what is missing', () => {
    const json = { 'content-type': 'application/json' };
    const post = (path: string, body: string, method = 'POST'): Promise<HttpAnswer> =>
      sidecar.request(path, { method, headers: { ...json, 'sallyport-session': session }, ...(method === 'POST' ? { body } : {}) });
    /** Everything that a caller sees of an answer, without its ids, its date and the name that was asked for. */
    const seen = (answer: HttpAnswer, name: string): object => {
      const id = String(mcpDenialOf(answer)?.decision_id);
      expect(id).toMatch(/^[0-9A-Z]{26}$/);
      const bare = (text: string): string => text.replaceAll(id, '<id>').replaceAll(name, '<name>');
      const headers = Object.entries(answer.headers).filter(([header]) => header !== 'date');
      return { status: answer.status, headers: bare(JSON.stringify(headers)), text: bare(answer.text) };
    };
    /** By the form of the call; each is given the name of a tool that is there or of one that is not, of one length. */
    const FORMS: Readonly<Record<string, (name: string) => Promise<HttpAnswer>>> = {
      'by name': (name) => post(`/tools/orders/${name}`, '{}'),
      'by name, with arguments that fit neither': (name) => post(`/tools/orders/${name}`, '{"id":7,"unheard_of":1}'),
      'by name, with a body that is none': (name) => post(`/tools/orders/${name}`, '{"id":'),
      'by name, with a body that is too large': (name) => post(`/tools/orders/${name}`, ' '.repeat(2_000_000)),
      'in the body, flat': (name) => post('/tools/orders/invoke', JSON.stringify({ tool: name })),
      'in the body, nested': (name) => post('/tools/orders/invoke', JSON.stringify({ tool: name, arguments: { id: 'x' } })),
      'by path': (name) => post(`/http/orders/${name}`, '{}'),
      'by path, with a query': (name) => post(`/http/orders/${name}?id=7`, '{}'),
      'by path and another method': (name) => post(`/http/orders/${name}`, '', 'GET'),
      'over MCP': (name) => mcpPost(sidecar, 'desk', toolCall(name), { 'sallyport-session': session }),
      'over MCP, with arguments that fit neither': (name) =>
        mcpPost(sidecar, 'desk', toolCall(name, { id: 7 }), { 'sallyport-session': session }),
      'over MCP, in its modern era': (name) =>
        mcpPost(sidecar, 'desk', toolCall(name), { 'sallyport-session': session, 'mcp-protocol-version': '2026-07-28' }),
    };

    it.each(Object.entries(FORMS))('a tool, %s: the same bytes', async (_, ask) => {
      const before = reached();
      // `hidden` is somebody else’s, `hiddon` nobody’s; `hidden_dodo` another tenant’s.
      expect(seen(await ask('hidden'), 'hidden')).toEqual(seen(await ask('hiddon'), 'hiddon'));
      expect(seen(await ask('hidden_dodo'), 'hidden_dodo')).toEqual(seen(await ask('hiddon_dodo'), 'hiddon_dodo'));
      expect(reached()).toBe(before);
    });

    it.each<[string, (name: string) => Promise<HttpAnswer>]>([
      ['by name', (name) => post(`/tools/${name}/x`, '{}')],
      ['by path', (name) => post(`/http/${name}/x`, '{}')],
      ['over MCP', (name) => mcpPost(sidecar, name, toolCall('x'), { 'sallyport-session': session })],
      [
        'over MCP, its listing',
        (name) => mcpPost(sidecar, name, { jsonrpc: '2.0', id: 1, method: 'tools/list' }, { 'sallyport-session': session }),
      ],
    ])('a server, %s: another agent’s and nobody’s are one', async (_, ask) => {
      expect(seen(await ask('vault'), 'vault')).toEqual(seen(await ask('voult'), 'voult'));
    });

    it.each(['http', 'mcp'] as const)('an account, over %s: one that exists and one that is invented', async (dialect) => {
      const before = reached();
      const [existing, invented] = [await call(dialect, 'bound', { id: 'B' }), await call(dialect, 'bound', { id: 'Z' })];
      expect(mcpDenialOf(existing)?.code).toBe('resource_binding_mismatch');
      expect(seen(existing, 'B')).toEqual(seen(invented, 'Z'));
      expect(reached()).toBe(before);
    });

    it('the record alone tells them apart', async () => {
      const [forbidden, missing] = [await call('http', 'hidden'), await call('http', 'hiddon')];
      const [one, two] = [await recordOf(world, forbidden), await recordOf(world, missing)];
      expect([one.code, two.code]).toEqual(['tool_not_allowed', 'tool_not_allowed']);
      expect(one.detail).not.toBe(two.detail);
    });

    it('nor does the listing tell', async () => {
      const listed = await mcpPost(sidecar, 'desk', { jsonrpc: '2.0', id: 1, method: 'tools/list' }, { 'sallyport-session': session });
      expect(listed.text).toContain('"plain"');
      expect(listed.text).not.toMatch(/hidden/);
    });
  });
});
