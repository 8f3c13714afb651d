import { expect, test } from 'vitest';
import type { Instant, Principal, SessionId, ToolName } from '@sallyport/model';
import type { PolicyInput } from '../input.ts';
import { CelFailure, loadProgram } from './cel.ts';
import { readsOf, valuesOf } from './fact-fields.ts';
import type { Given } from './fact-fields.ts';

const principal = {
  id: 'alice',
  kind: 'person',
  tenant: 't',
  issuer: 'i',
  roles: ['r'],
  scopes: ['s'],
  acr: 'phr',
  amr: ['mfa'],
  attributes: { level: 3 },
  authenticatedAt: 1_000 as Instant,
} as unknown as Principal;

const input = {
  principal,
  now: 61_000 as Instant,
  session: {
    id: 's' as SessionId,
    case: 'c',
    task: 't',
    step: 'x',
    root: 'operator',
    risk: 7,
    startedAt: 1_000 as Instant,
    attempted: ['a/b', 'a/c'] as ToolName[],
    completed: ['a/b'] as ToolName[],
    failed: [],
    denied: ['a/c'] as ToolName[],
    classes: ['pii'],
    hasCompleted: () => false,
    noted: (kind: string) => [kind],
  },
} as unknown as PolicyInput;
const given: Given = { input, noted: { touched: ['word'], remembered: ['word'] }, types: new Map() };

/** What a condition yields that is given what these texts may read. */
function valueOf(text: string, texts: readonly string[]): unknown {
  const program = loadProgram(text);
  if (!program.ok) throw new Error(text);
  const reads = readsOf(texts);
  const facts = { args: {}, env: {}, tool: {}, agent: {}, chain: [] };
  return program.value.run({ ...facts, principal: valuesOf(reads.principal, given), session: valuesOf(reads.session, given) });
}

test.each([
  'principal.id == "alice" && principal.kind == "person" && principal.tenant == "t" && principal.issuer == "i"',
  '"r" in principal.roles && "s" in principal.scopes && principal.acr == "phr" && "mfa" in principal.amr',
  'principal.auth_age_s == 60 && principal.attributes.level == 3',
  'session.id == "s" && session.case == "c" && session.task == "t" && session.step == "x" && session.root == "operator"',
  'session.risk == 7 && session.age_s == 60 && "pii" in session.classes',
  'size(session.attempted) == 2 && size(session.completed) == 1 && size(session.failed) == 0 && size(session.denied) == 1',
  '"touched" in session.touched.word && "remembered" in session.remembered.word',
  'has(session.case) && has(principal.acr)',
  'session["case"] == "c"',
  String.raw`session["c\u0061se"] == "c" && session["\x72isk"] == 7`,
  'session  .\n case == "c"',
])('a condition is given what it reads, however it spells it: %s', (text) => {
  expect(valueOf(text, [text])).toBe(true);
  // Of a rule with others, too.
  expect(valueOf(text, ['args.x == 1', text])).toBe(true);
});

test('what no condition reads is not worked out', () => {
  const { principal: read, session } = readsOf(['args.amount <= 5', 'session.case == args.id']);
  // `id` is a word of the text; whose it is does not matter.
  expect([read.map(([name]) => name), session.map(([name]) => name)]).toEqual([['id'], ['id', 'case']]);
  expect(valueOf('session.risk == 7', ['session.case == "c"'])).toBeInstanceOf(CelFailure);
});

test.each([Number.NaN, Number.POSITIVE_INFINITY, 1.5, 2 ** 60])('a risk of %d is no risk that is known, and nothing throws', (risk) => {
  const values = valuesOf(readsOf(['session.risk']).session, { ...given, input: { ...input, session: { ...input.session, risk } } });
  expect(values).toEqual({});
});
