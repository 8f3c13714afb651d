import { readFileSync } from 'node:fs';
import { ANSWERS, DENIAL_CODES, type DenialCode, type PublicDenial, deny, publicDenial } from '@sallyport/model';
import { describe, expect, it } from 'vitest';
import type { WireAnswer } from './ask.ts';
import { denialText, mcpDenial, mcpDenialForm, rpcCodeOf } from './mcp-denial.ts';
import { problemAnswer } from './problem.ts';

const denial = (code: DenialCode, more: Partial<PublicDenial> = {}): PublicDenial => ({
  ...publicDenial(deny(code, 'rule secret-rule refused 4111'), { decisionId: '01KAF0Z5H8Q7M3T9V2X4C6B8N0', effect: 'none' }),
  ...more,
});
const parsed = (answer: WireAnswer): Record<string, unknown> =>
  JSON.parse(new TextDecoder().decode(answer.body)) as Record<string, unknown>;

describe('the page of denials', () => {
  it('lists every code with the answer that the code gives', () => {
    const page = readFileSync(new URL('../../../docs/spec/denials.md', import.meta.url), 'utf8');
    const rows = DENIAL_CODES.map((code) => {
      const { status, title, nextAction, isTransient, userMessage } = ANSWERS[code];
      const form = mcpDenialForm(code, { id: 1, tool: 'x', era: 'legacy' }, 'tool_result');
      return `| \`${code}\` | ${status} | ${title} | ${nextAction} | ${isTransient ? 'yes' : 'no'} | ${userMessage} | ${form} | ${rpcCodeOf({ code, status })} |`;
    });
    const [, table = ''] = /<!-- codes -->\n(?:.*\n){2}([\s\S]*?)\n<!-- \/codes -->/.exec(page) ?? [];
    expect(table.split('\n')).toEqual(rows);
  });
});

describe('a denial over HTTP', () => {
  it('is a problem with its code, its decision and nothing of the inside', () => {
    const answer = problemAnswer(denial('no_matching_policy', { fields: ['amount'] }));
    expect(answer).toMatchObject({ status: 403, headers: { 'content-type': 'application/problem+json', 'cache-control': 'no-store' } });
    expect(parsed(answer)).toEqual({
      type: 'https://sallyport.dev/problems/no_matching_policy',
      title: 'nothing allows this call',
      status: 403,
      instance: 'urn:sallyport:decision:01KAF0Z5H8Q7M3T9V2X4C6B8N0',
      code: 'no_matching_policy',
      decision_id: '01KAF0Z5H8Q7M3T9V2X4C6B8N0',
      effect: 'none',
      retryable: false,
      next_action: 'use_allowed_tool',
      user_message: 'I cannot do that.',
      fields: ['amount'],
    });
  });

  it.each<[DenialCode, Record<string, string>]>([
    ['unauthenticated', { 'www-authenticate': 'Bearer realm="sallyport"' }],
    ['session_unknown', { 'www-authenticate': 'Bearer realm="sallyport"' }],
    ['token_expired', { 'www-authenticate': 'Bearer realm="sallyport", error="invalid_token"' }],
    ['method_not_allowed', { allow: 'POST' }],
    ['policy_stale', { 'retry-after': '2' }],
  ])('%s has the headers of its status', (code, headers) => {
    const more = code === 'policy_stale' ? { retry_after_ms: 1001 } : {};
    expect(problemAnswer(denial(code, more)).headers).toMatchObject(headers);
  });

  it('challenges with every 401 and with nothing else', () => {
    for (const code of DENIAL_CODES)
      expect(Object.hasOwn(problemAnswer(denial(code)).headers, 'www-authenticate'), code).toBe(ANSWERS[code].status === 401);
  });
});

describe('a denial over MCP', () => {
  const TO = { id: 7, tool: 'create_refund', era: 'legacy' } as const;

  it('of a call is by default a result that the model can act on', () => {
    const answer = mcpDenial(denial('schema_violation', { fields: ['amount'] }), TO);
    expect(answer.status).toBe(200);
    expect(answer.headers).toEqual({ 'content-type': 'application/json', 'cache-control': 'no-store' });
    expect(parsed(answer)).toEqual({
      jsonrpc: '2.0',
      id: 7,
      result: {
        content: [
          {
            type: 'text',
            text:
              'Refused: the arguments do not fit the tool (amount) [schema_violation]. Nothing was carried out. Correct the arguments and call again. ' +
              'To the user say: "I cannot do that." Reference: 01KAF0Z5H8Q7M3T9V2X4C6B8N0',
          },
        ],
        isError: true,
        _meta: { 'dev.sallyport/denial': denial('schema_violation', { fields: ['amount'] }) },
      },
    });
  });

  it('says how far an argument may go, where the tool itself says so', () => {
    const told = denial('schema_violation', { fields: ['from'], limits: [{ field: 'from', max: '90d', before: 'to' }] });
    expect(denialText(told)).toContain('(from) [schema_violation]. from may lie at most 90d before to. Nothing was carried out.');
  });

  it('says when a repeat is welcome, and when it would do harm', () => {
    expect(denialText(denial('rate_limited', { retryable: true, retry_after_ms: 1500 }))).toContain(
      'The same call may be repeated after 2 s.',
    );
    expect(denialText(denial('upstream_timeout', { effect: 'possible', retryable: false }))).toContain('It may have been carried out. ');
    expect(denialText(denial('response_blocked', { effect: 'done' }))).toContain('do not repeat it');
  });

  it('of a call is an error where the tool’s entry says so, its code outside every reserved range', () => {
    const answer = mcpDenial(denial('no_matching_policy'), TO, { denyAs: 'error' });
    expect(answer.status).toBe(200);
    expect(parsed(answer)).toEqual({
      jsonrpc: '2.0',
      id: 7,
      error: { code: 403, message: 'nothing allows this call', data: denial('no_matching_policy') },
    });
    for (const code of DENIAL_CODES) {
      const number = rpcCodeOf(denial(code));
      expect(number > 0 || [-32_600, -32_601, -32_602, -32_603].includes(number), code).toBe(true);
    }
  });

  it.each(['tool_result', 'error'] as const)('of a hidden tool is that of a missing one, also under deny_as: %s', (denyAs) => {
    expect(parsed(mcpDenial(denial('tool_not_allowed'), TO, { denyAs }))).toMatchObject({
      error: { code: -32_602, message: 'Unknown tool: create_refund', data: { code: 'tool_not_allowed' } },
    });
  });

  it('of a method that is not served is JSON-RPC’s own', () => {
    const answer = mcpDenial(denial('method_not_allowed'), { id: 'a', tool: undefined, era: 'legacy' });
    expect([answer.status, Object.hasOwn(answer.headers, 'allow')]).toEqual([200, false]);
    expect(parsed(answer)).toMatchObject({ id: 'a', error: { code: -32_601 } });
  });

  it('of a credential keeps its status and its challenge around a message with the request’s id', () => {
    const answer = mcpDenial(denial('session_expired'), TO);
    expect(answer).toMatchObject({ status: 401, headers: { 'www-authenticate': 'Bearer realm="sallyport", error="invalid_token"' } });
    expect(parsed(answer)).toMatchObject({ id: 7, error: { code: 401, data: { code: 'session_expired' } } });
  });

  it('in the modern era says what kind of result it is, and that a method is not there by 404', () => {
    const modern = { ...TO, era: 'modern' } as const;
    expect(parsed(mcpDenial(denial('no_matching_policy'), modern))).toMatchObject({ result: { resultType: 'complete', isError: true } });
    const method = mcpDenial(denial('method_not_allowed'), { ...modern, tool: undefined });
    expect([method.status, parsed(method)]).toMatchObject([404, { id: 7, error: { code: -32_601 } }]);
  });

  it('has the revision’s own name where there is one, beside the code', () => {
    const rpc = { status: 400, code: -32_022, message: 'Unsupported protocol version', data: { supported: ['2026-07-28'] } };
    const answer = mcpDenial(denial('malformed_request'), { ...TO, era: 'modern' }, { rpc });
    expect([answer.status, parsed(answer)]).toMatchObject([
      400,
      { id: 7, error: { code: -32_022, message: rpc.message, data: { supported: ['2026-07-28'], code: 'malformed_request' } } },
    ]);
    const gone = mcpDenial(
      denial('session_expired'),
      { ...TO, id: undefined },
      { rpc: { status: 404, code: 404, message: 'Session not found' } },
    );
    expect([gone.status, Object.hasOwn(gone.headers, 'www-authenticate')]).toEqual([404, false]);
  });

  it('without anybody to answer is plain HTTP', () => {
    const answer = mcpDenial(denial('malformed_request'), { id: undefined, tool: undefined, era: 'legacy' });
    expect(answer).toMatchObject({ status: 400, headers: { 'content-type': 'application/problem+json' } });
  });

  it('never says what the record alone may know, in any form', () => {
    for (const code of DENIAL_CODES)
      for (const to of [TO, { ...TO, tool: undefined }, { ...TO, id: undefined }, { ...TO, era: 'modern' as const }])
        for (const denyAs of ['tool_result', 'error'] as const) {
          const body = new TextDecoder().decode(mcpDenial(denial(code), to, { denyAs }).body);
          expect(body).not.toMatch(/secret-rule|4111/);
          expect(body).toContain(code);
        }
  });
});
