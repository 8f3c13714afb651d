import { describe, expect, test } from 'vitest';
import type { AgentName, Digest, Instant } from '@sallyport/model';
import { policyOf } from '../testing/policies.ts';
import type { RecordedCall } from './recorded.ts';
import { replayer } from './replay.ts';
import type { Replayed } from './replay.ts';

const OLD = `sha256:${'a'.repeat(64)}` as Digest;

const ALLOWED: RecordedCall = {
  decisionId: '1',
  at: Date.UTC(2026, 0, 1, 12) as Instant,
  agent: 'triage' as AgentName,
  tool: 'pay/refund',
  principal: 'alice',
  tenant: 't1',
  case: 'A',
  decision: 'allow',
  code: '-',
  gate: 'authorization',
  ruleId: 'refund',
  isolation: 'enforced',
  policyDigest: OLD,
  detail: null,
  session: { completed: new Set(), isWhole: false },
};
const denied = (code: string, more: Partial<RecordedCall> = {}): RecordedCall => ({
  ...ALLOWED,
  decision: 'deny',
  code,
  detail: 'x',
  ...more,
});

const rule = (fields: string): string => `  - { id: refund, allow: [pay/refund]${fields} }\n`;

/** `before` is `undefined` where nobody knows what made the records. */
function replayed(call: RecordedCall, before: string | undefined, after: string): Replayed {
  const known = before === undefined ? [] : [{ digest: OLD, policy: policyOf({ rules: before }).policy }];
  return replayer({ candidate: policyOf({ rules: after }).policy, known })(call);
}

describe('what cannot be told is not', () => {
  test.each([
    ['roles', rule(', for: { roles: [clerk] }'), ['args.amount', 'args.currency', 'args.order', 'principal.roles']],
    ['scopes', rule(', scopes: [s]'), ['args.amount', 'args.currency', 'args.order', 'principal.scopes']],
    [
      'a condition on arguments',
      rule(', when: args.amount < 5 && principal.attributes.x == "y"').replace(' && principal.attributes.x == "y"', ''),
      ['args.amount', 'args.currency', 'args.order'],
    ],
    ['a limit', rule(', once: {}'), ['args.amount', 'args.currency', 'args.order', 'reservations']],
    ['an approval', rule(', approval: { by: { role: lead } }'), ['approvals', 'args.amount', 'args.currency', 'args.order']],
    [
      'an order of calls before the export begins',
      `${rule(', after: [pay/find]')}  - { id: find, allow: [pay/find] }\n`,
      ['args.amount', 'args.currency', 'args.order', 'session.completed'],
    ],
  ])('without the policy that made the record: %s', (_, after, missing) => {
    expect(replayed(ALLOWED, undefined, after)).toEqual({ verdict: 'undecidable', missing });
  });

  test('whether an argument is there is as little known as what it is', () => {
    expect(replayed(ALLOWED, rule(''), rule(', when: has(args.currency) || args.amount < 5')).missing).toEqual([
      'args.amount',
      'args.currency',
    ]);
    expect(replayed(ALLOWED, rule(''), rule(', when: has(args.currency)')).missing).toEqual(['args.currency']);
  });

  test('a denial that nobody knows the arguments of does not become an allow', () => {
    const hidden = denied('tool_not_allowed', { gate: 'tool', ruleId: 'gate:tool', detail: 'no rule could allow pay/refund' });
    expect(replayed(hidden, rule(', for: { roles: [clerk] }'), rule(''))).toMatchObject({ verdict: 'undecidable' });
  });
});

describe('a call that another agent handed on', () => {
  const delegated: RecordedCall = { ...ALLOWED, isDelegated: true };
  test('is for no rule that does not say how deep', () => {
    expect(replayed(delegated, rule(', delegation: { depth: 1 }'), rule(''))).toMatchObject({ verdict: 'flipped', now: 'deny' });
    expect(replayed(ALLOWED, rule(', delegation: { depth: 1 }'), rule(''))).toMatchObject({ verdict: 'same', now: 'allow' });
    expect(replayed(delegated, rule(', delegation: { depth: 1 }'), rule(', delegation: { depth: 1 }, risk: { max: 5 }')).missing).toEqual([
      'session.risk',
    ]);
    expect(replayed(delegated, rule(', delegation: { depth: 2 }'), rule(', delegation: { depth: 1 }')).missing).toEqual(['chain']);
  });
  test('and that was refused may have lacked a scope as well as a right to be handed on', () => {
    const refused = denied('delegation_not_allowed', { isDelegated: true });
    expect(replayed(refused, rule(', scopes: [s], delegation: { depth: 1 }'), rule(', delegation: { depth: 1 }')).verdict).toBe(
      'undecidable',
    );
  });
});

describe('what follows is told', () => {
  const FULL = ', for: { roles: [clerk] }, scopes: [s], bind: [args.order == session.case], when: args.amount <= 500';

  test('a tool whose rules did not change answers as it did, whatever else did', () => {
    const other = '  - { id: find, allow: [pay/find] }\n';
    expect(replayed(ALLOWED, rule(FULL), rule(FULL) + other)).toEqual({ verdict: 'same', now: 'allow', missing: [] });
    expect(replayed(denied('insufficient_scope'), rule(FULL), rule(FULL) + other)).toEqual({ verdict: 'same', now: 'deny', missing: [] });
  });

  test('of an allow, that everything its rule demanded was met: a rule that demands less of it allows it too', () => {
    expect(replayed(ALLOWED, rule(FULL), rule(', for: { roles: [clerk] }, scopes: [s]'))).toMatchObject({ verdict: 'same', now: 'allow' });
    expect(replayed(ALLOWED, rule(FULL), rule(`${FULL}, risk: { max: 5 }`)).missing).toEqual(['session.risk']);
  });

  test('an allow flips where a denial by what was recorded came, a grant went, or the agent lost the tool', () => {
    const now = (more: string): Replayed => replayed(ALLOWED, rule(FULL), more);
    expect(now(`${rule(FULL)}  - { id: d, deny: [pay/refund], for: { principals: [alice] } }\n`)).toMatchObject({
      verdict: 'flipped',
      now: 'deny',
    });
    expect(now(`${rule(FULL)}  - { id: d, deny: [pay/refund], for: { tenants: [t2] } }\n`)).toMatchObject({ verdict: 'same' });
    expect(now(`${rule(FULL)}  - { id: d, deny: [pay/refund], when: principal.tenant == "t1" }\n`)).toMatchObject({ verdict: 'flipped' });
    expect(now('  - { id: find, allow: [pay/find] }\n')).toMatchObject({ verdict: 'flipped', now: 'deny' });
    expect(now(rule(`${FULL}, valid: { until: "2026-01-01T12:00:00.000Z" }`))).toMatchObject({ verdict: 'flipped' });
    expect(now(rule(`${FULL}, hours: { from: "09:00", to: "13:00" }`))).toMatchObject({ verdict: 'same' });
  });

  test('a denial flips to an allow only where every other demand is known to have been met', () => {
    const mismatch = denied('resource_binding_mismatch');
    const bound = ', for: { roles: [clerk] }, scopes: [s], bind: [args.order == session.case]';
    // The requirements before the row that answered were met, and there is none behind it.
    expect(replayed(mismatch, rule(bound), rule(', for: { roles: [clerk] }, scopes: [s]'))).toMatchObject({
      verdict: 'flipped',
      now: 'allow',
    });
    // What stands behind it in the table was not asked.
    expect(
      replayed(mismatch, rule(`${bound}, risk: { max: 5 }`), rule(', for: { roles: [clerk] }, scopes: [s], risk: { max: 5 }')),
    ).toMatchObject({
      verdict: 'undecidable',
      missing: ['session.risk'],
    });
    expect(replayed(mismatch, rule(bound), rule(`${bound}, scopes: [s, t]`.replace(', scopes: [s]', '')))).toMatchObject({
      verdict: 'same',
      now: 'deny',
    });
  });

  test('a condition that was not true may have failed: that a denial does not match does not follow', () => {
    const when = ', when: args.currency == "EUR"';
    const after = `  - { id: other, allow: [pay/refund] }\n  - { id: d, deny: [pay/refund], when: has(args.currency) && args.currency == "EUR" }\n`;
    expect(replayed(denied('no_matching_policy'), rule(when), after).verdict).toBe('undecidable');
  });

  test('the same words mean something else where a value, or the tool, is not the same', () => {
    const more = (most: string): string => `kind: Environment\nvalues: { most: { decimal: "${most}" } }\n`;
    const rules = rule(', when: args.amount <= env.most');
    const known = [{ digest: OLD, policy: policyOf({ rules, more: more('500') }).policy }];
    const under = (most: string): Replayed => replayer({ candidate: policyOf({ rules, more: more(most) }).policy, known })(ALLOWED);
    expect([under('500').verdict, under('400').missing]).toEqual(['same', ['args.amount']]);
    const amend = (text: string): string => text.replace('minimum: 0', 'minimum: 1');
    const narrower = replayer({
      candidate: policyOf({ rules: rule(', scopes: [s]') }, amend).policy,
      known: [{ digest: OLD, policy: policyOf({ rules: rule(', scopes: [s]') }).policy }],
    });
    expect(narrower(ALLOWED).missing).toEqual(['args.amount', 'args.currency', 'args.order']);
  });

  test('whether a credential was for this step is known only from a denial further down the table', () => {
    const scope = denied('insufficient_scope');
    expect(replayed(scope, rule(', scopes: [s]'), rule('')).missing).toEqual(['session.step']);
    expect(replayed(denied('tool_step_mismatch'), rule(', scopes: [s]'), rule(''))).toMatchObject({ verdict: 'same', now: 'deny' });
  });

  test('the same limit in another rule, or for other tools, has counted something else', () => {
    const once = ', once: {}';
    expect(replayed(ALLOWED, rule(once), rule(once).replace('id: refund', 'id: renamed')).missing).toEqual(['reservations']);
    expect(replayed(ALLOWED, rule(once), rule(once).replace('[pay/refund]', '[pay/refund, pay/drop]')).missing).toEqual(['reservations']);
  });

  test('an order of calls is known from the records before, where they begin with the session', () => {
    const [before, after] = [rule(''), `${rule(', after: [pay/find]')}  - { id: find, allow: [pay/find] }\n`];
    const session = (completed: readonly string[], isWhole: boolean): RecordedCall => ({
      ...ALLOWED,
      session: { completed: new Set(completed), isWhole },
    });
    expect(replayed(session(['pay/find'], false), before, after)).toMatchObject({ verdict: 'same' });
    expect(replayed(session([], true), before, after)).toMatchObject({ verdict: 'flipped', now: 'deny' });
    expect(replayed(session([], false), before, after)).toMatchObject({ verdict: 'undecidable', missing: ['session.completed'] });
  });

  test('arguments that the schema refused stay refused while it stays', () => {
    const refused = denied('schema_violation', { gate: 'validation', ruleId: 'gate:validation' });
    expect(replayed(refused, rule(FULL), rule(''))).toMatchObject({ verdict: 'same', now: 'deny' });
  });
});

describe('a record that lies or belongs elsewhere', () => {
  test('of another gate, of no tool, or of what the sidecar answered itself, is not policy’s', () => {
    for (const more of [{ gate: 'freshness' }, { gate: 'authentication' }, { tool: '-' }, { ruleId: 'local:list_tools', gate: 'tool' }])
      expect(replayed({ ...ALLOWED, ...more }, rule(''), rule('')).verdict).toBe('elsewhere');
  });

  test('an allow by a rule that the named policy does not have tells nothing', () => {
    const forged = { ...ALLOWED, ruleId: 'no-such-rule' };
    expect(replayed(forged, rule(', scopes: [s]'), rule(', scopes: [s], for: { roles: [a] }')).missing).toContain('principal.scopes');
  });

  test('a code that the rule could not have given tells nothing', () => {
    for (const code of ['risk_too_high', 'tool_step_mismatch', 'policy_stale', '', 'x'])
      expect(
        replayed(
          denied(code),
          rule(', scopes: [s], risk: { max: 5 }').replace(', risk: { max: 5 }', ''),
          rule(', for: { roles: [a] }, scopes: [s]'),
        ).now,
      ).not.toBe('allow');
    const forged = denied('budget_exceeded');
    expect(replayed(forged, rule(', scopes: [s]'), rule(', scopes: [s], task: [t]')).missing).toContain('principal.scopes');
  });

  test('a digest that nobody has at hand tells nothing', () => {
    const other = { ...ALLOWED, policyDigest: `sha256:${'b'.repeat(64)}` };
    expect(replayed(other, rule(', scopes: [s]'), rule(', scopes: [s]')).verdict).toBe('undecidable');
  });

  test('names that are no tools, of any length, are what is not in the catalog', () => {
    for (const tool of ['x', '../../etc', 'pay/refund\n', 'x'.repeat(100_000)])
      expect(replayed(denied('tool_not_allowed', { tool, gate: 'tool' }), rule(''), rule(', scopes: [s]'))).toMatchObject({
        verdict: 'same',
      });
  });
});
