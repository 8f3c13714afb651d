import { formatProblem } from '@sallyport/model';
import { describe, expect, test } from 'vitest';
import { parseDocuments } from './documents.ts';

const HEAD = `apiVersion: sallyport.dev/v1
kind: Agent
name: clerk
owner: team
uses: [orders]
---
kind: ToolServer
name: orders
mcp: { url: "https://orders.internal" }
network: private
---
`;
const tool = (more = ''): string => `kind: Tool
name: orders/create_refund
effect: write
arguments: { required: [order_id, amount], properties: { order_id: { type: string }, amount: { type: integer } } }
${more}---
kind: Tool
name: orders/cancel_order
effect: write
---
`;
const rules = (more: string): string =>
  `kind: Policy\nagent: clerk\nrules:\n  - { id: cancel, allow: [orders/cancel_order] }\n  - ${more}\n`;
const rule = (more: string): string => `${tool()}${rules(`{ id: refund, allow: [orders/create_refund], ${more} }`)}`;

/** What is wrong, without places: `message (remedy)`. */
function wrongWith(documents: string): readonly string[] {
  const parsed = parseDocuments([{ path: 'p.yaml', text: HEAD + documents }]);
  const problems = parsed.ok ? [] : parsed.error.filter(({ severity }) => severity === undefined);
  return problems.map(({ message, remedy, path }) =>
    formatProblem({ path: '', message: `${path}: ${message}`, ...(remedy === undefined ? {} : { remedy }) }),
  );
}

describe('a problem says what to write instead', () => {
  test.each([
    [
      'a result under `touches`',
      tool('touches: { order: "result.items[].id" }\n'),
      'touches.order: `result.items[].id` does not stand in the arguments (`touches` notes the arguments; write it under `remember`)',
    ],
    [
      'an argument under `remember`',
      tool('remember: { order: args.order_id }\n'),
      'remember.order: `args.order_id` does not stand in the result (`remember` notes the result; write it under `touches`)',
    ],
    [
      'a range that is not in a list',
      tool('ranges: { from: a, to: b, max: 1d }\n'),
      'ranges: `ranges` must be a list (write [{ from: … }])',
    ],
    ['`once` without a map', rule('once: true'), 'rules[1].once: `once` must be a map (write once: {}, or once: { per: case })'],
    ['`once` of nothing', rule('once:'), 'rules[1].once: `once` must be a map (write once: {}, or once: { per: case })'],
    ['`max` of a number', rule('max: 3'), 'rules[1].max: `max` must be a map (write max: { count: … })'],
    ['`budget` of a number', rule('budget: 100'), 'rules[1].budget: `budget` must be a map (write budget: { sum: …, max: … })'],
    ['`approval` without a map', rule('approval: true'), 'rules[1].approval: `approval` must be a map (write approval: { by: … })'],
    ['`step_up` without a map', rule('step_up: true'), 'rules[1].step_up: `step_up` must be a map (write step_up: { max_age: … })'],
    ['`for` of a role', rule('for: rep'), 'rules[1].for: `for` must be a map (write for: { roles: … })'],
    ['`arguments` of a text', rule('arguments: amount'), 'rules[1].arguments: `arguments` must be a map (write { name: … })'],
    [
      'a precondition with no values',
      rule('after: [{ tool: orders/cancel_order }]'),
      'rules[1].after[0]: a precondition lacks `with` (write orders/cancel_order alone)',
    ],
    [
      'an argument that the tool of a precondition lacks',
      `${tool()}${rules('{ id: refund, allow: [orders/create_refund] }')}  - { id: more, require: [orders/cancel_order], after: [{ tool: orders/create_refund, with: { order: tool.name } }] }\n`,
      'rules[2].after[0].with.order: `orders/create_refund` has no argument `order` (there are `order_id`, `amount`)',
    ],
    [
      'the beginning of a tool’s name',
      `${tool()}${rules('{ id: refund, allow: [orders/cancel] }')}`,
      'rules[1].allow[0]: no tool `orders/cancel` (did you mean `orders/cancel_order`)',
    ],
    [
      'an attribute that no issuer maps',
      rule('when: principal.attributes.cost_center == "x"'),
      'rules[1].when: no attribute `cost_center` (map a claim to it under `claims.attributes` of an Issuer)',
    ],
    [
      'a value that no environment has',
      rule('when: args.amount < env.most'),
      'rules[1].when: no environment value `most` (declare it in a document of kind Environment)',
    ],
    [
      'a note that no tool takes',
      rule('when: args.order_id in session.touched.order'),
      'rules[1].when: no note `order` (name it under `touches` or `remember` of a Tool)',
    ],
    [
      'a code that is none',
      `${rule('scopes: [a]')}---\nkind: Test\ncases: [{ call: orders/cancel_order, expect: deny }]\n`,
      'cases[0].expect: `deny` is not a denial code (allow, or the code of the denial: mostly no_matching_policy, tool_not_allowed, insufficient_scope, resource_binding_mismatch, session_precondition_failed, parameter_not_allowed, call_limit_exceeded)',
    ],
    [
      'a code that is misspelled',
      `${rule('scopes: [a]')}---\nkind: Test\ncases: [{ call: orders/cancel_order, expect: insuficient_scope }]\n`,
      'cases[0].expect: `insuficient_scope` is not a denial code (did you mean `insufficient_scope`)',
    ],
  ])('%s', (_, documents, said) => {
    expect(wrongWith(documents)).toEqual([said]);
  });
});
