import { ANSWERS, Fault, ok, type AgentName, type DenialCode, type PrincipalId, type SessionId } from '@sallyport/model';
import {
  BENT_TOKENS,
  dpopProof,
  issuerKeyPair,
  recordingUpstream,
  thumbprintOf,
  tokenIssuer,
  type RecordingUpstream,
  type ScriptedAnswer,
  type TokenIssuer,
} from '@sallyport/testkit';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Held } from '../../../packages/sidecar/src/pipeline/ports.ts';
import { breakGate, GATES } from '../../support/gates.ts';
import { MCP_HEADERS, mcpDenialOf, toolCall } from '../../support/mcp-clients.ts';
import { EPOCH, pipelineHarness, type Harness } from '../../support/pipeline-harness.ts';
import { scriptedMcp } from '../../support/mcp-server.ts';
import { issuerDocument } from '../../support/policies.ts';
import { AGENT, eventually, startWorld, type HttpAnswer, type RunningSidecar, type World } from '../../support/world.ts';

/** The same tools over plain HTTP and over MCP, under the same rules; and both behind a name that wants TLS, and one that wants a credential. */
const policy = ({ http, mcp }: { http: string; mcp: string }, agent: string = AGENT): string => {
  const servers = {
    orders: `http: { url: "${http}" }`,
    'orders-tls': `http: { url: "${http.replace('http:', 'https:')}" }`,
    desk: `mcp: { url: "${mcp}" }`,
    'desk-tls': `mcp: { url: "${mcp.replace('http:', 'https:')}" }`,
    'orders-keyed': `http: { url: "${http}" }`,
    'desk-keyed': `mcp: { url: "${mcp}" }`,
  };
  const demands = {
    look: '',
    scoped: ', scopes: [more]',
    bound: ', bind: [args.id == session.case]',
    narrow: ', arguments: { amount: { maximum: 10 } }',
    small: ', when: args.amount <= 10',
    after: ', after: [SERVER/look]',
    once: ', once: {}',
    spent: ', budget: { sum: args.amount, max: "10" }',
    tasked: ', task: [expenses]',
    proven: ', step_up: { amr: [mfa] }',
    approved: ', approval: { by: { role: lead } }',
    risky: ', risk: { max: 10 }',
    scheduled: ', delegation: { roots: [schedule] }',
  };
  const documents = Object.entries(servers).flatMap(([server, where]) => [
    `kind: ToolServer\nname: ${server}\n${where}\nnetwork: loopback`,
    ...Object.keys(demands).map((tool) => {
      const route = where.startsWith('http') ? `\nroute: { method: POST, path: /${tool} }` : '';
      const schema = 'arguments: { properties: { id: { type: string }, amount: { type: integer } } }';
      return `kind: Tool\nname: ${server}/${tool}\neffect: read${route}\n${schema}`;
    }),
    `kind: Policy\nagent: ${agent}\nrules:\n${Object.entries(demands)
      .map(([tool, demand]) => `  - { id: ${server}-${tool}, allow: [${server}/${tool}], for: { roles: [support-rep] }${demand} }`)
      .join('\n')
      .replaceAll('SERVER', server)}`,
  ]);
  const head = `apiVersion: sallyport.dev/v1\nkind: Agent\nname: ${agent}\nowner: team-support\nuses: [${Object.keys(servers).join(', ')}]`;
  const check = `kind: Test\nagent: ${agent}\ngiven: { roles: [support-rep] }\ncases:\n  - { call: orders/look, expect: allow }`;
  const source = 'source: { file: absent }\nheader: Authorization\nscheme: Bearer';
  const credential = `kind: Credential\nname: absent\n${source}\ndestinations: [orders-keyed, desk-keyed]\nagents: [${agent}]\ntools: [orders-keyed/*, desk-keyed/*]`;
  return [`${head}\nsessions: { roots: [operator, schedule], idle: 5m, max: 8h, jobs: [${JOB}] }`, ...documents, credential, check].join(
    '\n---\n',
  );
};
const JOB = '{ name: nightly, root: schedule, as: { principal: nightly, tenant: acme }, max: { count: 1, within: 1h } }';
const DIALECTS = ['http', 'mcp'] as const;
type Dialect = (typeof DIALECTS)[number];

/** What stands between a test and its tools: the whole sidecar, or the pipeline between real ends. */
interface Bench {
  readonly port: number;
  readonly idp: TokenIssuer;
  request(path: string, options?: Parameters<RunningSidecar['request']>[1]): Promise<HttpAnswer>;
  session(claims?: Record<string, unknown>): Promise<string>;
}

let http: RecordingUpstream;
let mcp: RecordingUpstream;
let world: World;
let sidecar: RunningSidecar;
/** Another sidecar: its sessions are not the first one's, and it waits for no tool. */
let other: RunningSidecar;

const urls = (): { http: string; mcp: string } => ({ http: http.url, mcp: `${mcp.url}/mcp` });
/** Its tokens must be of a set of scopes that is in force. */
const versioned = tokenIssuer({ issuer: 'https://versioned.test' });
const enforce = async (yaml: string): Promise<void> => {
  const { releaseSeq } = await world.admin.publish(
    `${yaml}\n${issuerDocument(world.idp)}${issuerDocument(versioned)}min_scope_version: 3\n`,
  );
  await eventually(() => {
    const { release_seq: seq, ready } = sidecar.sidecar.readiness();
    return ready && seq === releaseSeq;
  }, `release ${releaseSeq} in force`);
};

beforeAll(async () => {
  [http, mcp] = await Promise.all([recordingUpstream(), recordingUpstream()]);
  world = await startWorld();
  sidecar = await world.startSidecar();
  other = await world.startSidecar({ name: 'other', config: { upstream: { first_byte_ms_max: 200 } } });
  await enforce(policy(urls()));
  await eventually(() => other.ready(), 'the other one');
});
beforeEach(() => {
  http.answer({ kind: 'json', body: { ok: true } });
  mcp.answer(scriptedMcp());
});
afterAll(async () => {
  await world?.close();
  await Promise.all([http?.close(), mcp?.close()]);
});

interface Asked {
  readonly args?: unknown;
  readonly session?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly server?: 'tls' | 'keyed';
}

/** A call of a tool in either dialect, in a session of its own unless given. */
async function call(
  bench: Bench,
  dialect: Dialect,
  tool: string,
  { args = {}, session, headers = {}, server }: Asked = {},
): Promise<HttpAnswer> {
  const all = { ...MCP_HEADERS, 'sallyport-session': session ?? (await bench.session()), ...headers };
  const suffix = server === undefined ? '' : `-${server}`;
  if (dialect === 'mcp') return bench.request(`/mcp/desk${suffix}`, { body: JSON.stringify(toolCall(tool, args)), headers: all });
  return bench.request(`/tools/orders${suffix}/${tool}`, { body: JSON.stringify(args), headers: all });
}

async function raw(bench: Bench, dialect: Dialect, body: string, path?: string): Promise<HttpAnswer> {
  const headers = { ...MCP_HEADERS, 'sallyport-session': await bench.session() };
  return bench.request(path ?? (dialect === 'mcp' ? '/mcp/desk' : '/tools/orders/look'), { body, headers });
}

/** `POST /session` is one for both dialects. */
const opening = (bench: Bench, token: string): Promise<HttpAnswer> =>
  bench.request('/session', { headers: { authorization: `Bearer ${token}` } });
const bent = (bench: Bench, name: string): string => {
  const bend = BENT_TOKENS[name];
  if (bend === undefined) throw new Error(`no token bent so: ${name}`);
  return bend(bench.idp, world.clock.wall());
};

/** The tool's server does this to the call itself, in either dialect. */
function answerCalls(script: ScriptedAnswer): void {
  http.answer(script);
  mcp.answer(scriptedMcp(() => script));
}

type Provoke = (bench: Bench, dialect: Dialect) => Promise<HttpAnswer>;

/** How each code is brought about by what an agent, a tool or an administrator does. */
const OUTSIDE: Readonly<Partial<Record<DenialCode, Provoke>>> = {
  malformed_request: (bench, dialect) => raw(bench, dialect, '{"a":1,"a":2}'),
  direct_address_rejected: (bench, dialect) => raw(bench, dialect, '{}', `http://127.0.0.1:${bench.port}/tools/orders/look`),
  unauthenticated: (bench, dialect) => call(bench, dialect, 'look', { session: 'none' }),
  token_expired: (bench) => opening(bench, bent(bench, 'expired')),
  token_lifetime_exceeded: (bench) => opening(bench, bent(bench, 'a life longer than accepted')),
  token_outdated: (bench) => opening(bench, versioned.mint(world.clock.wall(), { claims: { scope_version: 2 } })),
  replay_detected: async (bench) => {
    const key = issuerKeyPair('ES256', 'holder');
    const now = world.clock.wall();
    const token = bench.idp.mint(now, { claims: { cnf: { jkt: thumbprintOf(key) } } });
    const proof = dpopProof(key, { method: 'POST', url: `http://127.0.0.1:${bench.port}/session`, madeAt: now, token });
    const headers = { authorization: `DPoP ${token}`, dpop: proof };
    await bench.request('/session', { headers });
    return bench.request('/session', { headers });
  },
  signature_invalid: (bench) => opening(bench, bent(bench, 'a signature flipped in one bit')),
  token_revoked: async (bench, dialect) => {
    const session = await bench.session({ jti: `revoked over ${dialect}` });
    await world.admin.revoke('token', `revoked over ${dialect}`);
    return eventually(async () => {
      const answer = await call(bench, dialect, 'look', { session });
      return answer.status === 401 ? answer : undefined;
    }, 'the revocation');
  },
  session_expired: async (bench, dialect) => call(bench, dialect, 'look', { session: await other.session() }),
  no_matching_policy: (bench, dialect) => call(bench, dialect, 'small', { args: { amount: 11 } }),
  tool_not_allowed: (bench, dialect) => call(bench, dialect, 'mystery'),
  parameter_not_allowed: (bench, dialect) => call(bench, dialect, 'narrow', { args: { amount: 11 } }),
  insufficient_scope: (bench, dialect) => call(bench, dialect, 'scoped'),
  resource_binding_mismatch: (bench, dialect) => call(bench, dialect, 'bound', { args: { id: 'T-8' } }),
  session_precondition_failed: (bench, dialect) => call(bench, dialect, 'after'),
  call_limit_exceeded: async (bench, dialect) => {
    const session = await bench.session();
    await call(bench, dialect, 'once', { session, args: { id: 'a' } });
    return call(bench, dialect, 'once', { session, args: { id: 'b' } });
  },
  budget_exceeded: (bench, dialect) => call(bench, dialect, 'spent', { args: { amount: 11 } }),
  out_of_task: (bench, dialect) => call(bench, dialect, 'tasked'),
  step_up_required: (bench, dialect) => call(bench, dialect, 'proven'),
  requires_approval: (bench, dialect) => call(bench, dialect, 'approved'),
  risk_too_high: (bench, dialect) => call(bench, dialect, 'risky'),
  delegation_not_allowed: (bench, dialect) => call(bench, dialect, 'scheduled'),
  tool_step_mismatch: async (bench, dialect) => call(bench, dialect, 'look', { session: await bench.session({ tool_step: 'scoped' }) }),
  egress_denied: (bench, dialect) => raw(bench, dialect, '{}', '/nowhere'),
  method_not_allowed: async (bench, dialect) =>
    dialect === 'mcp'
      ? raw(bench, dialect, JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'resources/list' }))
      : bench.request('/tools/orders/look', { method: 'PUT', headers: { 'sallyport-session': await bench.session() } }),
  payload_too_large: (bench, dialect) => raw(bench, dialect, ' '.repeat(2_000_000)),
  unsupported_content_type: (bench, dialect) => call(bench, dialect, 'look', { headers: { 'content-type': 'text/plain' } }),
  headers_too_large: (bench, dialect) => call(bench, dialect, 'look', { headers: { 'x-a': 'a'.repeat(9_000) } }),
  schema_violation: (bench, dialect) => call(bench, dialect, 'look', { args: { id: 1 } }),
  field_not_allowed: (bench, dialect) => call(bench, dialect, 'look', { args: { other: 1 } }),
  upstream_error: (bench, dialect) => {
    answerCalls({ kind: 'json', status: 500, body: {} });
    return call(bench, dialect, 'look');
  },
  upstream_timeout: (bench, dialect) => {
    answerCalls({ kind: 'hang' });
    return call({ ...other, idp: bench.idp }, dialect, 'look');
  },
  // The server speaks no TLS: whoever it is, it cannot prove it.
  upstream_untrusted: (bench, dialect) => call(bench, dialect, 'look', { server: 'tls' }),
  // Nobody has put it where the sidecar looks.
  credential_unavailable: (bench, dialect) => call(bench, dialect, 'look', { server: 'keyed' }),
  agent_not_registered: async (bench, dialect) => {
    const session = await bench.session();
    await enforce(policy(urls(), 'another-agent'));
    const answer = await call(bench, dialect, 'look', { session });
    await enforce(policy(urls()));
    return answer;
  },
};

let gate: Harness;
let isDraining: boolean;

const stale = (held: Held): Held => (held.state === 'absent' ? held : { ...held, state: 'stale', freshForMs: -1 });
const minted = (over: { agent?: string }): Promise<string> =>
  gate.ports.sessionTokens.mint(
    {
      sessionId: `${EPOCH}.AAAAAAAAAAAAAAAAAAAAAA` as SessionId,
      operator: 'alice@company.com' as PrincipalId,
      agent: (over.agent ?? AGENT) as AgentName,
    },
    gate.clock.wall(),
  );

/** And those that need a hand inside: a clock, a disk, a bundle's age, a defect. */
const INSIDE: Readonly<Partial<Record<DenialCode, Provoke>>> = {
  session_unknown: async (bench, dialect) => call(bench, dialect, 'look', { session: await minted({}) }),
  session_binding_mismatch: async (bench, dialect) => call(bench, dialect, 'look', { session: await minted({ agent: 'another-agent' }) }),
  session_expired: async (bench, dialect) => {
    const session = await bench.session();
    await gate.clock.advance(6 * 60_000);
    return call(bench, dialect, 'look', { session });
  },
  token_expired: async (bench, dialect) => {
    const session = await bench.session();
    await gate.clock.advance(16 * 60_000);
    return call(bench, dialect, 'look', { session });
  },
  rate_limited: async (bench) => {
    const headers = { 'sallyport-job': 'nightly' };
    await bench.request('/session', { headers });
    return bench.request('/session', { headers });
  },
  internal: async (bench, dialect) => {
    const placed = GATES.find(({ name }) => name === 'authorization');
    if (placed === undefined) throw new Error('no such gate');
    const session = await bench.session();
    const mend = breakGate(placed, 'decide', new TypeError('x is undefined'));
    return call(bench, dialect, 'look', { session }).finally(mend);
  },
  overloaded: async (bench, dialect) => {
    const session = await bench.session();
    isDraining = true;
    return call(bench, dialect, 'look', { session });
  },
  policy_stale: async (bench, dialect) => {
    const session = await bench.session();
    gate.hold(stale);
    return call(bench, dialect, 'look', { session });
  },
  policy_unavailable: async (bench, dialect) => {
    const session = await bench.session();
    gate.hold(() => ({ state: 'absent', why: 'none yet' }));
    return call(bench, dialect, 'look', { session });
  },
  identity_unavailable: async (bench, dialect) => {
    const session = await bench.session();
    gate.takeAssertionsAway();
    return call(bench, dialect, 'look', { session });
  },
  obligation_unsupported: async (bench, dialect) => {
    const scopes = Array.from({ length: 68 }, (_, nth) => `${'s'.repeat(70)}${nth}`);
    return call(bench, dialect, 'look', { session: await bench.session({ scope: scopes }) });
  },
  audit_unavailable: async (bench, dialect) => {
    const session = await bench.session();
    gate.breakJournal(new Fault('journal_failed', 'internal', 'full'));
    return call(bench, dialect, 'look', { session });
  },
};

/** Not a rule that refuses, but a condition under which nothing may be allowed, or a tool that failed. */
const MAY_BE_5XX: readonly string[] = [
  'internal',
  'upstream_error',
  'upstream_timeout',
  'upstream_untrusted',
  'overloaded',
  'policy_stale',
  'policy_unavailable',
  'identity_unavailable',
  'audit_unavailable',
  'credential_unavailable',
];

function expectSaid(answer: HttpAnswer, code: string, dialect: Dialect): void {
  const row = ANSWERS[code as DenialCode];
  expect(mcpDenialOf(answer)).toMatchObject({
    code,
    status: row.status,
    title: row.title,
    next_action: row.nextAction,
    user_message: row.userMessage,
    effect: 'none',
    decision_id: expect.stringMatching(/^[0-9A-Z]{26}$/) as string,
  });
  // What a model reads comes with a status that its client accepts; everything else with the code's own.
  const isForModel = dialect === 'mcp' && answer.status === 200;
  if (!isForModel) expect(answer.status).toBe(row.status);
  if (dialect === 'http') expect(answer.headers['content-type']).toBe('application/problem+json');
  if (row.status >= 500) expect(MAY_BE_5XX).toContain(code);
  expect(answer.text).not.toMatch(/rule|"gate|sallyport-session|alice/);
}

describe('[R12.01] every refusal says which it is', () => {
  it('every code that the product answers with is provoked here', () => {
    const root = join(import.meta.dirname, '..', '..', '..');
    const product = globSync('packages/*/src/**/*.ts', { cwd: root })
      .filter((path) => !path.includes('.test.ts') && !path.includes('/gen/'))
      .map((path) => readFileSync(join(root, path), 'utf8'))
      .join('\n');
    const answered = Object.keys(ANSWERS).filter((code) => product.includes(`deny('${code}'`) || product.includes(`code: '${code}'`));
    expect(answered.length).toBeGreaterThan(20);
    expect(answered.filter((code) => !Object.hasOwn(OUTSIDE, code) && !Object.hasOwn(INSIDE, code))).toEqual([]);
  });

  describe.each(DIALECTS)('by the sidecar, over %s', (dialect) => {
    it.each(Object.entries(OUTSIDE))('%s', async (code, provoke) => {
      expectSaid(await provoke({ ...sidecar, idp: world.idp }, dialect), code, dialect);
    });
  });

  describe.each(DIALECTS)('by the pipeline, over %s', (dialect) => {
    beforeEach(async () => {
      isDraining = false;
      gate = await pipelineHarness(policy(urls()), {
        // A job is opened by an agent that has proven itself.
        ports: () => ({ load: { isDraining: () => isDraining }, agentCredential: { isAsked: true, judge: () => ok(AGENT) } }),
      });
    });
    afterEach(() => gate.close());

    it.each(Object.entries(INSIDE))('%s', async (code, provoke) => {
      expectSaid(await provoke(gate as unknown as Bench, dialect), code, dialect);
    });
  });
});
