import { Bug, deny, type DenialCode, type RuleId } from '@sallyport/model';
import { describe, expect, it } from 'vitest';
import { heard, journalFault, pipelineSide, type PipelineSideOptions } from '../testing/pipeline-side.ts';
import type { Body } from './facts.ts';
import type { Answer } from './gate.ts';
import type { Ports } from './ports.ts';
import { failSafe, notForwarded, refuseCall, refuseHead, refuseUnread } from './refusing.ts';

const body = (text: string | Error): Body => ({
  read: async () => {
    if (typeof text !== 'string') throw text;
    return { ok: true, value: new TextEncoder().encode(text) };
  },
});
const CALL = '{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"get","arguments":{}}}';

interface Refused {
  readonly answer: Answer;
  readonly text: string;
  readonly noted: ReturnType<typeof pipelineSide>['noted'];
  readonly strangers: (string | undefined)[];
}
/** Refuses a call of which only `known` has been proven. */
async function refused(
  code: DenialCode,
  known: object = {},
  { ruleId, ...options }: PipelineSideOptions & { ruleId?: RuleId } = {},
): Promise<Refused> {
  const { call, ports, noted } = pipelineSide(options);
  const { requestId, decisionId, receivedAt, leg, method, target, peer } = call;
  const strangers: (string | undefined)[] = [];
  const decision: Ports['recorder']['decision'] = async (written, how) => {
    strangers.push(how.stranger);
    await ports.recorder.decision(written, how);
  };
  const arrival = { requestId, decisionId, receivedAt, leg, method, target, peer, body: call.body, ...known } as never;
  const denial = deny(code, 'rule secret-rule fell short', ruleId === undefined ? {} : { ruleId });
  const answer = await refuseCall(
    arrival,
    { end: 'denied', gate: 'tool', denial, facts: {} },
    { ...ports, recorder: { ...ports.recorder, decision } },
  );
  return { answer, text: await heard(answer), noted, strangers };
}

describe('a refusal', () => {
  it('is one DECISION with gate, code, rule and detail, and has no OUTCOME', async () => {
    const { noted } = await refused('no_matching_policy', {}, { ruleId: 'secret-rule' as RuleId });
    expect(noted.decisions).toMatchObject([
      {
        decision_id: 'D1',
        decision: 'deny',
        code: 'no_matching_policy',
        gate: 'tool',
        rule_id: 'secret-rule',
        detail: 'rule secret-rule fell short',
      },
    ]);
    expect(noted.outcomes).toEqual([]);
    expect((await refused('malformed_request')).noted.decisions[0]?.rule_id).toBe('gate:tool');
  });

  it('tells the caller neither rule nor detail, in no form', async () => {
    const caller = { kind: 'session', claims: { sessionId: 's1' } };
    for (const known of [{}, { caller, head: { target: { segments: ['mcp', 'desk'], path: '/mcp/desk' } }, body: body(CALL) }]) {
      const { text } = await refused('no_matching_policy', known, { ruleId: 'secret-rule' as RuleId });
      expect(text).toContain('no_matching_policy');
      expect(text).not.toMatch(/secret-rule|fell short/);
    }
  });

  it('of a stranger says where it came from, without the port; of somebody known it does not', async () => {
    expect((await refused('unauthenticated')).strangers).toEqual(['127.0.0.1']);
    expect((await refused('unauthenticated', { peer: '[::1]:55555' })).strangers).toEqual(['[::1]']);
    expect((await refused('unauthenticated', { peer: '' })).strangers).toEqual(['-']);
    expect((await refused('session_unknown', { caller: { kind: 'session', claims: {} } })).strangers).toEqual([undefined]);
  });

  it('that cannot be recorded is still one, and is counted; a defect in recording too', async () => {
    const lost = await refused('tool_not_allowed', {}, { failing: { decision: journalFault } });
    expect([lost.answer.status, lost.noted.unrecorded, lost.noted.bugs]).toEqual([403, 1, 0]);
    const broken = await refused('tool_not_allowed', {}, { failing: { decision: new Bug('encoder') } });
    expect([broken.answer.status, broken.noted.unrecorded, broken.noted.bugs]).toEqual([403, 1, 1]);
  });

  it('of a tool that is known is a fact of the session; of one that is not, none', async () => {
    const { call } = pipelineSide();
    expect((await refused('insufficient_scope', { session: call.session, tool: call.tool })).noted.events).toEqual([]);
    const facts: string[] = [];
    const session = { ...call.session, record: (what: string) => facts.push(what) };
    await refused('insufficient_scope', { session, tool: call.tool });
    await refused('tool_not_allowed', { session });
    expect(facts).toEqual(['denied']);
  });
});

describe('a refusal over MCP', () => {
  const known = (text: string | Error, more: object = {}): object => ({
    caller: { kind: 'session', claims: { sessionId: 's1' } },
    head: { target: { segments: ['mcp', 'desk'], path: '/mcp/desk' } },
    body: body(text),
    ...more,
  });

  it('answers the request that it refuses', async () => {
    const { answer, text } = await refused('insufficient_scope', known(CALL));
    expect([answer.status, JSON.parse(text)]).toMatchObject([200, { id: 7, result: { isError: true } }]);
  });

  it.each<[what: string, text: string | Error]>([
    ['no JSON', '{'],
    ['no id', '{"jsonrpc":"2.0","method":"notifications/initialized"}'],
    ['two ids', '{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}'],
    ['a body that broke off', new Error('gone')],
  ])('is plain HTTP where there is nobody to answer: %s', async (_, text) => {
    const { answer, text: problem } = await refused('malformed_request', known(text));
    expect([answer.status, answer.headers['content-type']]).toEqual([400, 'application/problem+json']);
    expect(JSON.parse(problem)).toMatchObject({ code: 'malformed_request', effect: 'none' });
  });

  it('reads no byte of a body before somebody is known', async () => {
    const { answer } = await refused(
      'unauthenticated',
      known(CALL, { caller: undefined, body: { read: () => expect.unreachable('read') } }),
    );
    expect([answer.status, answer.headers['content-type']]).toEqual([401, 'application/problem+json']);
  });
});

describe('a refusal at the last moment', () => {
  it('settles the call as not forwarded and gives its use back, once', async () => {
    const { call, ports, noted } = pipelineSide();
    const answer = await notForwarded(call, deny('policy_stale', 'turned stale'), ports);
    expect([answer.status, JSON.parse(await heard(answer))]).toMatchObject([503, { code: 'policy_stale', effect: 'none' }]);
    expect(noted.events).toEqual(['fact attempted', 'cancelled', 'fact failed', 'outcome not_forwarded']);
  });

  it('stands, also when the journal has ended', async () => {
    const { call, ports, noted } = pipelineSide({ failing: { outcome: journalFault } });
    expect((await notForwarded(call, deny('policy_stale', 'turned stale'), ports)).status).toBe(503);
    expect(noted.unrecorded).toBe(1);
  });
});

it('what the listener refused by itself is a DECISION whose id its answer can name', async () => {
  const { ports, noted } = pipelineSide();
  const ids = { request: () => 'R9', decision: () => 'D9' } as unknown as Ports['ids'];
  expect(refuseUnread(deny('headers_too_large', 'HPE_HEADER_OVERFLOW'), { leg: 'outbound', peer: '127.0.0.1:1' }, { ...ports, ids })).toBe(
    'D9',
  );
  await expect
    .poll(() => noted.decisions)
    .toMatchObject([{ decision_id: 'D9', code: 'headers_too_large', gate: 'framing', agent_id: 'support-triage' }]);
});

it('HEAD ends in a refusal or a pass: anything else is a defect', async () => {
  const { call, ports } = pipelineSide();
  await expect(refuseHead(call, { end: 'again' }, ports)).rejects.toThrow(Bug);
});

it('the last net answers with nothing but the code and the id', async () => {
  const { call, ports, noted } = pipelineSide();
  const answer = failSafe(call, new Error('secret'), ports);
  const text = await heard(answer);
  expect([answer.status, JSON.parse(text)]).toMatchObject([
    500,
    { code: 'internal', decision_id: 'D1', effect: 'possible', retryable: false },
  ]);
  expect([text.includes('secret'), noted.bugs, noted.unrecorded]).toEqual([false, 1, 1]);
});
