import { describe, expect, test } from 'vitest';
import { utf8 } from '@sallyport/crypto';
import { formatProblem } from '@sallyport/model';
import type { ToolName } from '@sallyport/model';
import { judge, serializeArguments } from '@sallyport/strict';
import { buildParts } from '../compile/build.ts';
import type { BuiltParts } from '../compile/build.ts';
import { parseDocuments } from '../compile/documents.ts';

function build(tool: string): BuiltParts | readonly string[] {
  const text = `apiVersion: sallyport.dev/v1
kind: Agent
name: desk
owner: team
uses: [crm]
---
kind: ToolServer
name: crm
mcp: { url: "https://crm.internal" }
network: private
---
kind: Tool
name: crm/search
effect: read
${tool}
---
kind: Policy
agent: desk
rules: [{ id: all, allow: [crm/search] }]
`;
  const parsed = parseDocuments([{ path: 't.yaml', text }]);
  const built = parsed.ok ? buildParts(parsed.value) : parsed;
  return built.ok ? built.value : built.error.filter(({ severity }) => severity !== 'warning').map(formatProblem);
}

/** What is forwarded and what was changed, or the violations. */
function shaped(tool: string, args: string): unknown {
  const built = build(tool);
  if (!('policy' in built)) throw new Error(built.join('\n'));
  const judged = judge(utf8(args));
  const result = judged.ok ? built.policy.shape('crm/search' as ToolName, judged.value) : undefined;
  if (result === undefined) throw new Error('no such call');
  if (!result.ok) return result.error.map(({ code, path, message }) => `${code} ${path}: ${message}`);
  const { changes, narrowed } = result.value;
  return { sent: new TextDecoder().decode(serializeArguments(result.value.args)), changes, narrowed };
}

const TICKET = 'arguments: { required: [subject], properties: { subject: { type: string }, amount: { type: number, format: decimal } } }';
const ORDERS = (over: string, format = 'date'): string =>
  `arguments: { required: [from, to], properties: { from: { type: string, format: ${format} }, to: { type: string, format: ${format} } } }
ranges: [{ from: from, to: to, max: 90d, over: ${over} }]`;

describe('arguments that a tool does not know', () => {
  test('refuse the call unless the tool says otherwise', () => {
    const refused = ['field_not_allowed internal_customer_id: is not known here'];
    expect(shaped(TICKET, '{"subject":"x","internal_customer_id":7}')).toEqual(refused);
    expect(shaped(`${TICKET}\nunknown_arguments: reject`, '{"subject":"x","internal_customer_id":7}')).toEqual(refused);
  });

  test('are taken out where it says so, and named for the record; the rest stays exact', () => {
    expect(
      shaped(
        `${TICKET}\nunknown_arguments: strip`,
        '{"subject":"x","internal_customer_id":7,"amount":0.10000000000000000001,"meta":{"a":1}}',
      ),
    ).toEqual({
      sent: '{"subject":"x","amount":0.10000000000000000001}',
      changes: ['took out the unknown argument `internal_customer_id`', 'took out the unknown argument `meta`'],
      narrowed: [],
    });
  });

  test('taking them out excuses nothing else', () => {
    expect(shaped(`${TICKET}\nunknown_arguments: strip`, '{"Subject":"x"}')).toEqual(['schema_violation subject: is required']);
    expect(shaped(`${TICKET}\nunknown_arguments: strip`, '{"subject":7,"x":1}')).toEqual([
      expect.stringMatching(/^schema_violation subject: /),
    ]);
    expect(shaped(`${TICKET}\nunknown_arguments: strip`, '{"subject":"x","__proto__":{"amount":1},"constructor":1}')).toMatchObject({
      sent: '{"subject":"x"}',
    });
  });
});

describe('dates that lie too far apart', () => {
  test.each<[over: string, args: string, expected: unknown]>([
    ['reject', '{"from":"2016-01-01","to":"2026-01-01"}', ['schema_violation from: must lie at most 90d before to']],
    [
      'narrow',
      '{"from":"2016-01-01","to":"2026-01-01"}',
      { sent: '{"from":"2025-10-03","to":"2026-01-01"}', changes: ['narrowed `from` from 2016-01-01 to 2025-10-03'], narrowed: ['from'] },
    ],
    ['reject', '{"from":"2025-10-03","to":"2026-01-01"}', { sent: '{"from":"2025-10-03","to":"2026-01-01"}', changes: [], narrowed: [] }],
    ['reject', '{"from":"2025-10-02","to":"2026-01-01"}', ['schema_violation from: must lie at most 90d before to']],
    ['narrow', '{"from":"2026-01-02","to":"2026-01-01"}', ['schema_violation from: must not be after to']],
  ])('%s %s', (over, args, expected) => expect(shaped(ORDERS(over), args)).toEqual(expected));

  test('instants count to the millisecond, whatever their offsets', () => {
    const tool = ORDERS('narrow', 'date-time');
    expect(shaped(tool, '{"from":"2026-01-01T00:00:00+02:00","to":"2026-03-31T22:00:00Z"}')).toMatchObject({ narrowed: [] });
    expect(shaped(tool, '{"from":"2026-01-01T00:00:00+02:00","to":"2026-03-31T22:00:00.001Z"}')).toMatchObject({
      sent: '{"from":"2025-12-31T22:00:00.001Z","to":"2026-03-31T22:00:00.001Z"}',
    });
  });

  test.each([
    ['the end', '0000-01-01T00:00:00+23:59', '0000-01-01T00:00:00+22:00'],
    ['the beginning', '2000-01-01T00:00:00Z', '9999-12-31T23:59:59-23:59'],
  ])('an offset that leads out of the years there are, at %s, narrows to no text that only some can read', (_, from, to) => {
    const tool = ORDERS('narrow', 'date-time').replace('90d', '1h');
    expect(shaped(tool, JSON.stringify({ from, to }))).toEqual(['schema_violation from: must lie at most 1h before to']);
  });

  const CHAIN = (ranges: string): string =>
    `arguments:
  required: [a, b, c]
  properties: { a: { type: string, format: date }, b: { type: string, format: date }, c: { type: string, format: date } }
ranges: [${ranges}]`;
  test('of two ranges with one beginning, the later one does not undo what the earlier one narrowed', () => {
    const tool = CHAIN('{ from: a, to: b, max: 7d, over: narrow }, { from: a, to: c, max: 30d, over: narrow }');
    expect(shaped(tool, '{"a":"2020-01-01","b":"2026-02-01","c":"2026-02-02"}')).toMatchObject({
      sent: '{"a":"2026-01-25","b":"2026-02-01","c":"2026-02-02"}',
      narrowed: ['a'],
    });
  });

  test('an end that another range moves makes no range longer than it may be', () => {
    const tool = CHAIN('{ from: a, to: b, max: 7d }, { from: b, to: c, max: 7d, over: narrow }');
    expect(shaped(tool, '{"a":"2020-01-01","b":"2020-01-02","c":"2026-02-02"}')).toEqual([
      'schema_violation a: must lie at most 7d before b',
    ]);
  });

  test('names that a caller invents do not push what was narrowed out of the record', () => {
    const many = Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`x${i}`, 1]));
    expect(
      shaped(`${ORDERS('narrow')}\nunknown_arguments: strip`, JSON.stringify({ ...many, from: '2016-01-01', to: '2026-01-01' })),
    ).toMatchObject({
      changes: [
        'narrowed `from` from 2016-01-01 to 2025-10-03',
        ...Array.from({ length: 8 }, (_, i) => `took out the unknown argument \`x${i}\``),
        'and 32 more',
      ],
    });
  });

  test.each([
    [
      'arguments: { required: [from], properties: { from: { type: string, format: date }, to: { type: string, format: date } } }',
      'are not both required',
    ],
    [
      'arguments: { required: [from, to], properties: { from: { type: string, format: date }, to: { type: string, format: date-time } } }',
      'two dates of one kind',
    ],
    ['arguments: { required: [from, to], properties: { from: { type: string }, to: { type: string } } }', 'two dates of one kind'],
    ['arguments: { required: [from], properties: { from: { type: string, format: date } } }', 'two dates of one kind'],
  ])('a range that could not hold is refused at build: %s', (schema, problem) => {
    const built = build(`${schema}\nranges: [{ from: from, to: to, max: 90d }]`);
    expect(built).toEqual([expect.stringMatching(new RegExp(`^t\\.yaml:\\d+:\\d+: .*${problem}`))]);
  });

  test('their features are declared, so that a sidecar that lacks them refuses the bundle', () => {
    const built = build(`${ORDERS('narrow')}\nunknown_arguments: strip`);
    expect('features' in built ? built.features : []).toEqual(expect.arrayContaining(['tool.ranges', 'tool.unknown_arguments']));
  });
});
