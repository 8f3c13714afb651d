import { describe, expect, test } from 'vitest';
import { formatProblem } from '@sallyport/model';
import { LIMITS } from '../reader/limits.ts';
import { buildParts } from './build.ts';
import { parseDocuments } from './documents.ts';
import { Problems } from '../reader/node.ts';

/** An agent that is opened by people alone for an hour at most; `touches` is what its reading tool notes. */
const world = (touches = 'args.id'): string => `apiVersion: sallyport.dev/v1
kind: Agent
name: desk
owner: team
uses: [crm]
sessions: { roots: [operator], max: 1h }
---
kind: ToolServer
name: crm
http: { url: "https://crm.internal" }
network: private
---
kind: Tool
name: crm/read
effect: read
route: { method: POST, path: /read }
arguments:
  required: [id]
  properties: { id: { type: string }, ids: { type: array, maxItems: 9, items: { type: string } }, flag: { type: boolean }, in: { type: object, properties: { id: { type: string } } } }
touches: { record: "${touches}" }
---
kind: Tool
name: crm/pay
effect: write
route: { method: POST, path: /payments }
arguments: { required: [id, amount], properties: { id: { type: string }, amount: { type: number, format: decimal } } }
---
kind: Environment
values: { nothing: { decimal: "0" } }
---
kind: Policy
agent: desk
rules:
  - { id: free, allow: [crm/read] }
`;

/** Errors of the whole build, one line each; none where it builds. */
function problemsOf(text: string): readonly string[] {
  const parsed = parseDocuments([{ path: 'p.yaml', text }]);
  const built = parsed.ok ? buildParts(parsed.value) : parsed;
  return built.ok ? [] : built.error.filter(({ severity }) => severity !== 'warning').map(formatProblem);
}

const rule = (fields: string): string => `  - { id: pay, allow: [crm/pay], ${fields} }\n`;
const also = (fields: string): string => `  - { id: also, require: [crm/pay], ${fields} }\n`;

describe('windows that leave no moment', () => {
  test.each<[rules: string, place: string]>([
    // 2026-06-27 is a Saturday.
    [
      rule('valid: { from: 2026-06-27T00:00:00Z, until: 2026-06-29T00:00:00Z }, hours: { days: [mon], from: "09:00", to: "17:00" }'),
      'hours',
    ],
    [rule('valid: { from: 2026-06-29T17:00:00Z, until: 2026-06-30T09:00:00Z }, hours: { from: "09:00", to: "17:00" }'), 'hours'],
    [rule('valid: { until: 2026-01-01T00:00:00Z }') + also('valid: { from: 2026-01-01T00:00:00Z }'), 'valid'],
    [rule('hours: { from: "09:00", to: "12:00" }') + also('hours: { from: "12:00", to: "17:00" }'), 'hours'],
    [rule('hours: { from: "09:00", to: "12:00" }') + also('hours: { from: "09:00", to: "12:00", utc_offset: "+03:00" }'), 'hours'],
    [rule('hours: { days: [mon], from: "22:00", to: "06:00" }') + also('hours: { days: [mon], from: "00:00", to: "06:00" }'), 'hours'],
    // No two of these are against each other; all three are.
    [
      rule('hours: { from: "08:00", to: "12:00" }') +
        also('hours: { from: "10:00", to: "18:00" }') +
        '  - { id: third, require: [crm/*], hours: { from: "17:00", to: "09:00" } }\n',
      'hours',
    ],
    [
      rule('scopes: [a]') +
        also('hours: { from: "09:00", to: "12:00" }') +
        '  - { id: third, require: [crm/pay], hours: { from: "13:00", to: "14:00" } }\n',
      'allow',
    ],
  ])('%s', (rules, place) => {
    const problems = problemsOf(world() + rules);
    expect(problems).toEqual([expect.stringContaining('never match')]);
    expect(problems[0]).toMatch(new RegExp(`^p\\.yaml:\\d+:\\d+: rules\\[1\\]\\.${place}: `));
  });

  test.each<[why: string, rules: string]>([
    [
      'a week holds every hour',
      rule('valid: { from: 2026-06-27T00:00:00Z, until: 2026-07-04T00:00:00Z }, hours: { days: [fri], from: "09:00", to: "09:01" }'),
    ],
    [
      'the night into Tuesday belongs to Monday',
      rule('valid: { from: 2026-06-30T05:59:00Z, until: 2026-06-30T06:30:00Z }, hours: { days: [mon], from: "22:00", to: "06:00" }'),
    ],
    [
      'a Sunday passes into the week',
      rule('hours: { days: [sun], from: "22:00", to: "06:00" }') +
        also('hours: { days: [mon], from: "05:00", to: "06:00" }').replace('days: [mon]', 'days: [mon, sun]'),
    ],
    ['one minute is enough', rule('hours: { from: "09:00", to: "12:01" }') + also('hours: { from: "12:00", to: "17:00" }')],
    [
      'the requirement is for others',
      rule('hours: { from: "09:00", to: "12:00" }') + also('for: { roles: [guest] }, hours: { from: "12:00", to: "17:00" }'),
    ],
    [
      'the requirement does not always apply',
      rule('hours: { from: "09:00", to: "12:00" }') + also('when: args.amount > 5, hours: { from: "12:00", to: "17:00" }'),
    ],
    [
      'the requirement is in shadow',
      rule('hours: { from: "09:00", to: "12:00" }') + also('shadow: true, hours: { from: "12:00", to: "17:00" }'),
    ],
    [
      'another tool of the rule is left',
      '  - { id: pay, allow: [crm/pay, crm/read], hours: { from: "09:00", to: "12:00" } }\n' +
        also('hours: { from: "12:00", to: "17:00" }'),
    ],
  ])('but: %s', (_, rules) => expect(problemsOf(world() + rules)).toEqual([]));
});

describe('demands that no call can meet, or that are never asked', () => {
  test.each<[rules: string, problem: string]>([
    [rule('task: [a]') + also('task: [b]'), 'nothing fits this `task` and that of rule `also`'],
    [
      rule('delegation: { roots: [operator] }') +
        also('delegation: { roots: [operator, event] }') +
        rule('task: [x]').replace('pay,', 'pay-more,') +
        also('delegation: { roots: [schedule] }').replace('also,', 'later,'),
      'opened by operator alone',
    ],
    [rule('step_up: { acr: [phr] }') + also('step_up: { acr: [low] }'), 'nothing fits this `step_up` and that of rule `also`'],
    [rule('delegation: { roots: [schedule, event] }'), 'sessions of `desk` are opened by operator alone, so the rule can never match'],
    [rule('session: { max_age: 2h }'), 'sessions of `desk` end after 1h, so `max_age` is never reached'],
    [rule('budget: { sum: args.amount, max: "0" }'), 'a budget of nothing'],
    [rule('budget: { sum: args.amount, max: "0.000" }'), 'a budget of nothing'],
    [rule('budget: { sum: "0", max: "5" }'), 'does not read the call'],
    [rule('once: {}, max: { count: 5 }'), '`max` is never reached'],
    [rule('once: { per: principal.id, within: 1h }, max: { count: 5, per: principal, within: 60m }'), '`max` is never reached'],
    [rule('once: { per: \'"x"\' }'), 'does not read the call'],
    [rule('reviewed: \'"x"\''), 'does not read the call'],
    [rule('when: args.amount <= 50, approval: { when: args.amount > 100, by: { role: lead } }'), 'so `approval` is never asked'],
    [rule('when: args.amount <= 50, step_up: { when: args.amount > 100, amr: [mfa] }'), 'so `step_up` is never asked'],
    [
      also('when: args.amount == 5, approval: { when: args.amount == 6, by: { role: lead } }') + rule('scopes: [a]'),
      'so `approval` is never asked',
    ],
    [rule('approval: { when: "1 == 2", by: { role: lead } }'), 'does not read the call'],
  ])('%s', (rules, problem) => expect(problemsOf(world() + rules).join('\n')).toContain(problem));

  test.each<[rules: string]>([
    [rule('task: [a, b]') + also('task: [b, c]')],
    [rule('step_up: { acr: [phr] }') + also('step_up: { acr: [low], when: args.amount > 5 }')],
    [rule('session: { max_age: 1h }')],
    // Turned off in one environment, which no other sees.
    [rule('budget: { sum: args.amount, max: "${env.nothing}" }')],
    [rule('once: { per: args.id }, max: { count: 5 }')],
    [rule('once: { within: 1h }, max: { count: 5, within: 1d }')],
    [rule('when: args.amount <= 500, approval: { when: args.amount > 100, by: { role: lead } }')],
    // An authentication may be older than the token that tells of it.
    [rule('step_up: { max_age: 400d }')],
  ])('but not: %s', (rules) => expect(problemsOf(world() + rules)).toEqual([]));
});

describe('places in arguments at which nothing is ever noted', () => {
  test.each<[place: string, problem: string]>([
    ['args.ID', 'no argument `ID` there (there are `id`, `ids`, `flag`, `in`)'],
    ['args.nope', 'no argument `nope` there'],
    ['args.id.x', '`x` is no member of a string'],
    ['args.id[]', '`[]` stands behind a string, not a list'],
    ['args.ids', 'a list is never noted (write [] behind it)'],
    ['args.ids.id', '`id` is no member of a list (write [] before it)'],
    ['args.ids[].id', '`id` is no member of a string'],
    ['args.flag', 'a boolean is never noted'],
    ['args.in', 'an object is never noted'],
    ['args.in.ip', 'no argument `ip` there (did you mean `id`)'],
  ])('%s: %s', (place, problem) => {
    // A denial that looks for what is never noted would never deny.
    const denial = '  - { id: stop, deny: [crm/pay], when: args.id in session.touched.record }\n';
    expect(problemsOf(world(place) + denial)).toEqual([expect.stringContaining(problem)]);
  });

  test.each(['args.id', 'args.ids[]', 'args.in.id'])('but %s', (place) => expect(problemsOf(world(place))).toEqual([]));
});

describe('names that look like others', () => {
  test.each<[name: string, why: string]>([
    ['\u0430dmin', 'mixes letters of scripts that look alike'],
    ['adm\u03B9n', 'mixes letters of scripts that look alike'],
    ['\u0578admin', 'mixes letters of scripts that look alike'],
    ['admin\u200B', 'invisible characters'],
    ['ad\u00ADmin', 'invisible characters'],
    ['admin\u3164', 'invisible characters'],
    ['admin\uFE0F', 'invisible characters'],
    ['\u202Enimda', 'invisible characters'],
    ['cafe\u0301', 'written with combining characters'],
    ['admin\u00A0', 'invisible characters'],
    ['\uD800', 'half a surrogate pair'],
  ])('%j is refused wherever a name of somebody or something stands: %s', (name, why) => {
    const quoted = JSON.stringify(name);
    const fields = [
      ...['roles', 'tenants', 'principals'].map((field) => `for: { ${field}: [${quoted}] }`),
      ...['scopes', 'task'].map((field) => `${field}: [${quoted}]`),
      ...['acr', 'amr'].map((field) => `step_up: { ${field}: [${quoted}] }`),
      ...['role', 'group', 'person'].map((field) => `approval: { by: { ${field}: ${quoted} } }`),
    ];
    for (const field of fields) expect(problemsOf(world() + rule(field)).join('\n')).toContain(why);
  });

  test.each(['führung', '管理者', 'Ärzte-Köln', 'администратор', 'διοίκηση', 'team:a/b', 'alice+1@example.com', '\u{1F600}'])(
    '%s is a name',
    (name) => expect(problemsOf(world() + rule(`for: { roles: ["${name}"] }`))).toEqual([]),
  );

  test('two rules of which one looks like the other', () => {
    expect(
      problemsOf(world() + rule('scopes: [a]').replace('id: pay', 'id: rule-1') + rule('scopes: [b]').replace('id: pay', 'id: rule-l')),
    ).toEqual([expect.stringContaining('look')]);
  });
});

test.each<[reference: string, problem: string]>([
  ['${env.nothing', '`${env.nothing` does not end'],
  ['${'.repeat(128), 'does not end'],
  ['${env.none}', 'no environment value `none`'],
  ['${env.nothing}', 'is of type decimal, not text'],
  ['${nothing}', 'is not a reference'],
])('a reference to the environment that stands for nothing: %.40s', (reference, problem) => {
  // As a name it would be nobody's, and a denial for it would deny nobody.
  expect(problemsOf(world() + rule(`for: { tenants: ["${reference}"] }`)).join('\n')).toContain(problem);
});

describe('numbers that are none, or too many of anything', () => {
  const numbers = ['.nan', '.NaN', '.inf', '-.inf', '1e999', '-1', '1.5', '0x10', '"x"', '[]', '{}', 'null', '9'.repeat(400)];
  const fields = [
    'risk: { max: N }',
    'max: { count: N }',
    'sequence: { consecutive: N }',
    'delegation: { depth: N }',
    'session: { denials_max: N }',
  ];
  const more = ['justification: { chars_min: N }', 'approval: { by: { role: a }, count: N }', 'arguments: { amount: { maximum: N } }'];
  const spans = ['session: { max_age: N }', 'step_up: { max_age: N }', 'once: { within: N }', 'max: { count: 1, within: N }'];

  test.each([...fields, ...more, ...spans, 'budget: { sum: args.amount, max: N }'])('%s', (field) => {
    for (const number of numbers) {
      // A decimal may have a fraction, a bound of an argument a sign and digits.
      if (/budget|arguments/.test(field) && ['1.5', '-1', '"x"'].includes(number)) continue;
      const [first] = problemsOf(world() + rule(field.replace('N', number)));
      expect([number, first]).toEqual([number, expect.stringMatching(/^p\.yaml:\d+:\d+: /)]);
    }
  });

  test.each<[field: string, entries: number]>([
    ['task: [N]', LIMITS.listMax],
    ['scopes: [N]', LIMITS.listMax],
    ['step_up: { acr: [N] }', LIMITS.listMax],
    ['step_up: { amr: [N] }', LIMITS.listMax],
    ['for: { roles: [N] }', LIMITS.listMax],
  ])('%s: %d entries and no more', (field, entries) => {
    const of = (count: number): string => rule(field.replace('N', Array.from({ length: count }, (_, index) => `w${index}`).join(', ')));
    expect(problemsOf(world() + of(entries))).toEqual([]);
    expect(problemsOf(world() + of(entries + 1))).toEqual([expect.stringContaining(`more than ${entries} entries`)]);
  });

  test.each<[field: string, problem: string]>([
    [
      `after: [${Array.from({ length: 257 }, (_, index) => `{ tool: crm/read, with: { id: 'args.id + "${index}"' } }`).join(', ')}]`,
      'more than 256 entries',
    ],
    [
      `after: [{ tool: crm/read, with: { ${Array.from({ length: 257 }, (_, index) => `a${index}: args.id`).join(', ')} } }]`,
      'more than 256 entries',
    ],
    [`reviewed: "${'args.id + '.repeat(300)}args.id"`, 'longer than 2000 characters'],
    [`reviewed: "${'args.id+'.repeat(240)}args.id"`, 'exceeded max'],
    [`budget: { sum: "${'('.repeat(500)}args.amount${')'.repeat(500)}", max: "5" }`, 'exceeded max'],
    [
      `once: { per: 'session.completed.all(a, session.completed.all(b, session.completed.all(c, a == b))) ? args.id : "x"' }`,
      'more than 200000',
    ],
    ['task: []', 'must not be empty'],
    ['approval: { by: {} }', 'exactly one'],
    ['hours: { days: [], from: "09:00", to: "10:00" }', 'must not be empty'],
    ['delegation: { roots: [] }', 'must not be empty'],
    ['arguments: { id: { enum: [] } }', 'expected 1 to 1000 values'],
    ['arguments: { id: { pattern: "((a{1,100}){1,100}){1,100}" } }', 'repeats so much'],
    ['arguments: { id: { pattern: "(?=a)a" } }', 'look'],
    ['arguments: {}', 'names none'],
    ['hours: { from: &a "09:00", to: *a }', 'anchors are not part of this language'],
    ['valid: !!timestamp { from: 2026-01-01T00:00:00Z }', 'tags are not part of this language'],
    [`session: ${'{ a: '.repeat(40)}1${' }'.repeat(40)}`, `nested deeper than ${LIMITS.nestingMax}`],
  ])('%.60s', (field, problem) => expect(problemsOf(world() + rule(field)).join('\n')).toContain(problem));

  test('bounds of one value, thousands in each direction, are compared once each', () => {
    // In pairs they would be a hundred million, and their list gigabytes.
    const many = (operator: string, from: number): string =>
      Array.from({ length: 60 }, (_, index) => `args.amount ${operator} ${from + index}`).join(' && ');
    const bind = Array.from({ length: 100 }, (_, index) => [`"${many('>', index)}"`, `"${many('<', 1_000 + index)}"`]).flat();
    expect(problemsOf(world() + rule(`bind: [${bind.join(', ')}]`))).toEqual([]);
    expect(problemsOf(world() + rule(`bind: [${bind.join(', ')}, args.amount <= 158]`)).join('\n')).toContain(
      '`args.amount` cannot be > 158 and <= 158',
    );
  });

  test('a remedy is looked for where it is listed, not for each of thousands of wrong names', () => {
    let looked = 0;
    const problems = new Problems();
    for (let index = 0; index < 5_000; index++) {
      problems.add({ path: '' }, 'no tool', {
        remedy: () => {
          looked++;
          return undefined;
        },
      });
    }
    expect(looked).toBe(LIMITS.problemsMax);
    expect(problems.sorted()).toHaveLength(LIMITS.problemsMax + 1);
  });

  test('a test that gives more than a session can hold', () => {
    const given = (text: string): string =>
      `${world()}---\nkind: Test\ngiven: { ${text} }\ncases: [{ call: crm/read, args: { id: x }, expect: allow }]\n`;
    const many = (count: number, item: string): string => Array.from({ length: count }, () => item).join(', ');
    expect(problemsOf(given(`session: { completed: [${many(10_001, 'crm/read')}] }`)).join('\n')).toContain('more than 10000 entries');
    expect(problemsOf(given(`session: { touched: { record: [${many(1_001, 'x')}] } }`)).join('\n')).toContain('more than 1000 entries');
    expect(problemsOf(given(`chain: [${many(17, '{ agent: a, first_party: true }')}]`)).join('\n')).toContain('more than 16 entries');
    expect(problemsOf(given('attributes: { a: .nan }')).join('\n')).toContain('means different things');
    expect(problemsOf(given('at: 2026-02-30T00:00:00Z')).join('\n')).toContain('must be an instant in UTC');
    expect(problemsOf(given(`attributes: { a: "${'x'.repeat(4_097)}" }`)).join('\n')).toContain('longer than 4096');
  });
});
