import type { Issuer, JsonObject } from '@sallyport/model';
import { describe, expect, it } from 'vitest';
import { originFromClaims } from './origin-claims.ts';

type Names = Partial<Issuer['claims']>;

const issuer = (over: Partial<Issuer> = {}, names: Names = {}): Issuer => ({
  issuer: 'https://idp.test',
  audience: 'sallyport',
  keys: [],
  tokenLifetimeMsMax: 900_000,
  claims: { subject: 'sub', tenant: 'tid', roles: 'groups', scopes: 'scope', case: 'case', attributes: {}, ...names },
  ...over,
});
const MAPPED: Names = {
  task: 'task',
  step: 'tool_step',
  environment: 'env',
  scopeVersion: 'scope_version',
  origin: {
    customer_id: { claim: 'customer' },
    workflow_id: { claim: 'wf' },
    workflow_step: { claim: 'trace', member: 'step' },
    conversation_id: { claim: 'trace', member: 'conversation' },
    run_id: { claim: 'run' },
    trace_id: { claim: 'trace', member: 'id' },
    purpose: { claim: 'why' },
  },
};
const FULL: JsonObject = {
  sub: 'alice',
  scope: 'refunds:read',
  scope_version: 3,
  env: 'production',
  tool_step: 'orders/get_order',
  amr: ['pwd', 'mfa'],
  customer: 'C-17',
  wf: 'refunds-v3',
  trace: { id: '4bf9', conversation: 'V-1', step: 'check' },
  run: 'R-9',
  why: 'refund',
};
const without = (...names: readonly string[]): JsonObject =>
  Object.fromEntries(Object.entries(FULL).filter(([name]) => !names.includes(name)));
const pathsOf = (of: Issuer, claims: JsonObject): readonly string[] => {
  const read = originFromClaims(of, claims);
  return read.ok ? [] : read.error.map(({ path }) => path);
};

describe('how a session began', () => {
  it('is what the mapping names, a member of an object too', () => {
    expect(originFromClaims(issuer({}, MAPPED), FULL)).toEqual({
      ok: true,
      value: {
        customerId: 'C-17',
        workflowId: 'refunds-v3',
        workflowStep: 'check',
        conversationId: 'V-1',
        runId: 'R-9',
        traceId: '4bf9',
        purpose: 'refund',
        environment: 'production',
        scopeVersion: '3',
      },
    });
  });

  it('is nothing where nothing is mapped, though the token uses the very names of records', () => {
    const claims = { ...FULL, customer_id: 'C-1', run_id: 'R-1', trace_id: 't', purpose: 'p', environment: 'x' };
    expect(originFromClaims(issuer(), claims)).toEqual({ ok: true, value: {} });
  });

  it.each<[string, JsonObject, string]>([
    ['a list', { customer: ['C-17', 'C-18'] }, 'customer'],
    ['a number', { customer: 17 }, 'customer'],
    ['null', { run: null }, 'run'],
    ['an empty text', { run: '' }, 'run'],
    ['the sign of what is unknown', { run: '-' }, 'run'],
    ['white space at its end', { why: 'refund ' }, 'why'],
    ['a line break, which could forge a line of a log', { why: 'refund\nallowed' }, 'why'],
    ['a bidi override', { wf: 'a\u202Eb' }, 'wf'],
    ['a long text', { wf: 'x'.repeat(257) }, 'wf'],
    ['a text where an object is mapped', { trace: '4bf9' }, 'trace'],
    ['a list where an object is mapped', { trace: ['4bf9'] }, 'trace'],
    ['an object whose member is a number', { trace: { id: 1 } }, 'trace.id'],
    ['an object whose member is an object', { trace: { step: { of: 'x' } } }, 'trace.step'],
    ['a version that is a text', { scope_version: '3' }, 'scope_version'],
    ['a version beyond exact numbers', { scope_version: 2 ** 60 }, 'scope_version'],
    ['an environment that is a list', { env: ['production'] }, 'env'],
  ])('is refused, not taken for absent, as %s', (_, over, path) => {
    expect(pathsOf(issuer({}, MAPPED), { ...FULL, ...over })).toContain(path);
  });

  it('does not find what only the prototype has', () => {
    const origin = { run_id: { claim: 'constructor' }, trace_id: { claim: 'trace', member: 'toString' } };
    expect(originFromClaims(issuer({}, { origin }), FULL)).toEqual({ ok: true, value: {} });
  });

  it('has the task for its purpose where no claim is named for the purpose, and only there', () => {
    const claims = { ...without('why'), task: 'refunds' };
    expect(originFromClaims(issuer({}, { task: 'task' }), claims)).toEqual({ ok: true, value: { purpose: 'refunds' } });
    expect(originFromClaims(issuer({}, MAPPED), claims)).not.toMatchObject({ value: { purpose: 'refunds' } });
  });
});

describe('claims that an issuer asks for', () => {
  const asking = issuer({ requiredClaims: ['trace_id', 'conversation_id', 'workflow_step', 'customer_id'] }, MAPPED);
  it('refuse a token by the name of each that it misses', () => {
    expect(pathsOf(asking, FULL)).toEqual([]);
    expect(pathsOf(asking, without('trace'))).toEqual(['trace_id', 'conversation_id', 'workflow_step']);
    expect(pathsOf(asking, { ...FULL, trace: { id: '4bf9', step: 'check' } })).toEqual(['conversation_id']);
    expect(pathsOf(asking, without('customer'))).toEqual(['customer_id']);
  });

  it('are never there where no claim is named for them', () => {
    expect(pathsOf(issuer({ requiredClaims: ['run_id'] }), { ...FULL, run_id: 'R-9' })).toEqual(['run_id']);
  });

  const strict = issuer({ strictClaims: true }, MAPPED);
  it.each<[string, readonly string[], string]>([
    ['its run', ['run'], 'run_id'],
    ['its tool', ['tool_step'], 'step'],
    ['its scopes', ['scope'], 'scopes'],
    ['the version of its scopes', ['scope_version'], 'scope_version'],
    ['its environment', ['env'], 'environment'],
    ['how its subject was known', ['amr'], 'authentication'],
  ])('where they are strict refuse a token that does not say %s', (_, names, path) => {
    expect(pathsOf(strict, FULL)).toEqual([]);
    expect(pathsOf(strict, without(...names))).toEqual([path]);
  });

  it.each<[string, JsonObject, string]>([
    ['no scope in a list', { scope: [] }, 'scopes'],
    ['no scope in a text', { scope: ' ' }, 'scopes'],
    ['no method in a list', { amr: [] }, 'authentication'],
  ])('are not said by %s', (_, over, path) => {
    expect(pathsOf(strict, { ...FULL, ...over })).toEqual([path]);
  });

  it('take `acr` as well for how the subject was known', () => {
    expect(pathsOf(strict, { ...without('amr'), acr: 'gold' })).toEqual([]);
  });
});
