import { Decimal, fail, type Tool } from '@sallyport/model';
import { shapeArguments } from '@sallyport/policy';
import { compileSchema, judge } from '@sallyport/strict';
import { describe, expect, it } from 'vitest';
import { decideValidation } from './validation.ts';

const schema = compileSchema(
  {
    type: 'object',
    required: ['order_id', 'amount'],
    properties: { order_id: { type: 'string', pattern: '^O-[0-9]{6}$' }, amount: { type: 'number', format: 'decimal' } },
  },
  '',
);

const judged = (body: string): ReturnType<typeof decideValidation> => {
  const json = judge(new TextEncoder().encode(body));
  if (!schema.ok || !json.ok) throw new Error('the fixture is wrong');
  const tool = { name: 'orders/refund' } as Tool;
  return decideValidation(shapeArguments({ tool, schema: schema.value }, json.value));
};

describe('validation', () => {
  it.each<[what: string, code: string, fields: string[], body: string]>([
    ['a missing argument', 'schema_violation', ['amount'], '{"order_id":"O-000001"}'],
    ['a number as text', 'schema_violation', ['amount'], '{"order_id":"O-000001","amount":"500"}'],
    ['a path in an identifier', 'schema_violation', ['order_id'], '{"order_id":"../O-000001","amount":1}'],
    ['two identifiers in one', 'schema_violation', ['order_id'], '{"order_id":"O-000001,O-000002","amount":1}'],
    ['an unknown argument', 'field_not_allowed', ['admin'], '{"order_id":"O-000001","amount":1,"admin":true}'],
    [
      'an unknown argument beside a wrong one',
      'schema_violation',
      ['admin', 'amount'],
      '{"order_id":"O-000001","amount":null,"admin":true}',
    ],
  ])('refuses %s and names every field at fault', (_, code, fields, body) => {
    const judgement = judged(body);
    expect(judgement).toMatchObject({ verdict: 'deny', denial: { code } });
    expect(judgement.verdict === 'deny' ? judgement.denial.fields?.toSorted() : undefined).toEqual(fields);
  });

  it('says how far dates may lie apart where that alone is known to every caller', () => {
    const limit = { field: 'from', max: '90d', before: 'to' };
    const violations = [{ code: 'schema_violation', path: 'from', message: 'must lie at most 90d before to', limit }] as const;
    expect(decideValidation(fail(violations))).toMatchObject({ denial: { code: 'schema_violation', fields: ['from'], limits: [limit] } });
    expect(judged('{}')).not.toHaveProperty('denial.limits');
  });

  it('passes typed arguments, exact', () => {
    const judgement = judged('{"order_id":"O-000001","amount":500.00000000000000000001}');
    expect(judgement.verdict === 'pass' ? judgement.facts.args['amount'] : undefined).toEqual(Decimal.parse('500.00000000000000000001'));
  });
});
