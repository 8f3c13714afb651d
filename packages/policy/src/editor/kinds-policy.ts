/** What may be done: rules. And what is given in tests of them. */

import { DENIAL_CODES, ISOLATIONS } from '@sallyport/model';
import { REQUIREMENTS } from '../decide/requirements.ts';
import type { Requirement } from '../decide/requirements.ts';
import { LIMITS, LIST_CAPS } from '../reader/limits.ts';
import { DAYS } from '../rule.ts';
import { CHAIN_ROOTS } from '../demand/session.ts';
import { ORIGIN_FACT_NAMES } from '../session.ts';
import { CALLED_AGENT } from './kinds-agents.ts';
import type { Field, Kind, MapShape, Shape } from './shape.ts';
import { list, map } from './shape.ts';
import {
  ARGUMENT,
  ATTRIBUTES,
  CLASS,
  INSTANT,
  NAME,
  RULE_ID,
  SELECTOR,
  SCOPE,
  TOKEN,
  TOKEN_OR_REFERENCE,
  TOOL,
  WORD,
  condition,
  count,
  span,
  text,
  word,
} from './shapes-common.ts';

const set = (of: Shape): Shape => list(of, { min: 1, max: LIMITS.listMax, isSet: true });

/** A field that is a row of the requirement table. */
const demand = (row: Requirement, says: string, shape: Shape): Field => ({ says, shape, code: REQUIREMENTS[row].code });

const LIMIT_SPAN: Readonly<Record<string, Field>> = {
  per: {
    says: 'Each value has its own count; the words `principal`, `tenant`, `agent` and `case` stand for the usual ones.',
    shape: condition('a value to count by'),
    otherwise: 'all calls together',
  },
  within: { says: 'In any session of the agent, within this span.', shape: span(LIMITS.windowMsMax), otherwise: 'in the session' },
};

const TIME = '(?:[01][0-9]|2[0-3]):[0-5][0-9]';

const RULE_FIELDS: Readonly<Record<string, Field>> = {
  id: { says: 'What records and explanations call it; one in the whole policy.', shape: RULE_ID, isRequired: true },
  allow: { says: 'Grants these tools to whom it is for, if everything that it demands is met.', shape: set(SELECTOR) },
  deny: { says: 'Refuses these tools, whatever allows them.', shape: set(SELECTOR) },
  require: { says: 'Adds demands to whatever allows these tools; grants nothing.', shape: set(SELECTOR) },
  shadow: {
    says: 'Looked at and recorded, never effective.',
    shape: { is: 'flag', only: true },
  },
  for: {
    says: 'Whom it is about: every list that is given must hold one of the principal’s values.',
    shape: map(
      'For',
      {
        roles: { says: 'One of these roles.', shape: set(TOKEN) },
        tenants: { says: 'One of these tenants; `${env.x}` is substituted.', shape: set(TOKEN_OR_REFERENCE) },
        principals: {
          says: 'One of these ids; `anonymous` is whoever proved nothing. `${env.x}` is substituted.',
          shape: set(TOKEN_OR_REFERENCE),
        },
      },
      { atLeastOne: ['roles', 'tenants', 'principals'] },
    ),
    otherwise: 'everyone who has signed in',
    code: REQUIREMENTS.for.code,
  },
  scopes: demand('scopes', 'The credential in use holds every one.', set(SCOPE)),
  task: demand('task', 'The session was opened for one of these tasks.', set(TOKEN)),
  require_purpose: demand('require_purpose', 'The credential says why the access happens; conditions read it as `session.purpose`.', {
    is: 'flag',
    only: true,
  }),
  delegation: demand(
    'delegation',
    'How the call came here.',
    map(
      'Delegation',
      {
        depth: {
          says: 'At most so many agents between the person and this one; of an allow rule that does not say, none.',
          shape: count(0, LIMITS.chainMax),
        },
        first_party: { says: 'None of them is a stranger’s.', shape: { is: 'flag', only: true } },
        roots: {
          says: 'With what it began; `system` is a schedule or an event, here or where it was handed on.',
          shape: set(word(CHAIN_ROOTS)),
        },
      },
      { atLeastOne: ['depth', 'first_party', 'roots'] },
    ),
  ),
  bind: demand(
    'bind',
    'Conditions that tie arguments to the session or the principal; every one is true.',
    set(condition('true or false')),
  ),
  arguments: demand('arguments', 'Narrower schemas of some arguments; each must be given, and fit.', {
    is: 'names',
    of: { is: 'schema', of: 'narrowing' },
    key: ARGUMENT,
    min: 1,
    max: LIMITS.listMax,
  }),
  after: demand(
    'after',
    'Tools that have completed in this session, with `with` in one call that had these values.',
    set({
      is: 'either',
      of: [
        TOOL,
        map('Precondition', {
          tool: { says: 'The tool that has completed.', shape: TOOL, isRequired: true },
          with: {
            says: 'What its arguments had to be, by their names, as conditions over this call.',
            shape: { is: 'names', of: condition('a value to count by'), key: ARGUMENT, min: 1, max: LIMITS.listMax },
            isRequired: true,
          },
        }),
      ],
    }),
  ),
  session: demand(
    'session',
    'What has become of the session.',
    map(
      'SessionDemand',
      {
        max_age: { says: 'It is younger than this.', shape: span(LIMITS.sessionMaxMsMax) },
        denials_max: { says: 'No more of its calls were denied.', shape: count(0, LIMITS.countMax) },
      },
      { atLeastOne: ['max_age', 'denials_max'] },
    ),
  ),
  valid: demand(
    'valid',
    'From when and until when the rule grants.',
    map(
      'Valid',
      {
        from: { says: 'From this moment on.', shape: INSTANT },
        until: { says: 'Up to this moment, and not at it.', shape: INSTANT },
      },
      { atLeastOne: ['from', 'until'] },
    ),
  ),
  hours: demand(
    'hours',
    'At which hours of which days. Hours that pass midnight belong to the day on which they begin.',
    map('Hours', {
      days: { says: 'On these days.', shape: set(word(DAYS)), default: [...DAYS] },
      from: { says: 'From this time on.', shape: text('a time of day, such as "09:30"', `^${TIME}$`), isRequired: true },
      to: {
        says: 'Up to this time, and not at it; `24:00` ends the day.',
        shape: text('a time of day, such as "17:00"', `^(?:${TIME}|24:00)$`),
        isRequired: true,
      },
      utc_offset: {
        says: 'By a clock so far from UTC.',
        shape: text('an offset from UTC, such as "+01:00"', '^[+-](?:0[0-9]|1[0-4]):[0-5][0-9]$'),
        default: '+00:00',
      },
    }),
  ),
  when: demand(
    'when',
    'Of an allow rule: the condition is true. Of a deny rule: when it denies. Of a require rule: when it applies.',
    condition('true or false'),
  ),
  justification: demand(
    'justification',
    'The call says why it is made.',
    map('Justification', {
      chars_min: { says: 'In at least so many characters.', shape: count(1, 1_000), default: 1 },
    }),
  ),
  risk: demand(
    'risk',
    'The session’s risk is known and low enough.',
    map('Risk', { max: { says: 'At most so much.', shape: count(0, 100), isRequired: true } }),
  ),
  step_up: demand(
    'step_up',
    'The person proved who they are, lately or strongly enough.',
    map(
      'StepUp',
      {
        max_age: { says: 'Within this span.', shape: span(LIMITS.windowMsMax) },
        acr: { says: 'In one of these ways (`acr`).', shape: set(TOKEN) },
        amr: { says: 'By one of these methods (`amr`).', shape: set(TOKEN) },
        when: {
          says: 'Asked only where this is not false.',
          shape: condition('true or false'),
          otherwise: 'always asked',
        },
      },
      { atLeastOne: ['max_age', 'acr', 'amr'] },
    ),
  ),
  isolation: demand(
    'isolation',
    'The agent is kept from going round its sidecar (`enforced`); `advisory` asks for nothing, and only an allow rule can say so.',
    word(ISOLATIONS),
  ),
  reviewed: demand('reviewed', 'A person has reviewed, in this session, the very text that this yields.', condition('text')),
  approval: demand(
    'approval',
    'People have approved this very call.',
    map('Approval', {
      when: { says: 'Asked only where this is not false.', shape: condition('true or false'), otherwise: 'always asked' },
      by: {
        says: 'Who may approve.',
        shape: map(
          'ApprovedBy',
          {
            role: { says: 'Anyone with this role.', shape: TOKEN },
            group: { says: 'Anyone of this group.', shape: TOKEN },
            person: { says: 'This person.', shape: TOKEN },
          },
          { exactlyOne: ['role', 'group', 'person'] },
        ),
        isRequired: true,
      },
      count: { says: 'How many different people.', shape: count(1, 16), default: 1 },
    }),
  ),
  once: demand('once', 'At most one call.', map('Once', LIMIT_SPAN)),
  max: demand(
    'max',
    'At most so many calls.',
    map('Max', { count: { says: 'How many.', shape: count(1, LIMITS.countMax), isRequired: true }, ...LIMIT_SPAN }),
  ),
  sequence: demand(
    'sequence',
    'At most so many calls in a row, with no other allowed call of the session in between.',
    map('Sequence', { consecutive: { says: 'How many.', shape: count(1, LIMITS.countMax), isRequired: true } }),
  ),
  budget: demand(
    'budget',
    'The values of all calls come to at most so much, exactly.',
    map('Budget', {
      sum: { says: 'What is added up.', shape: condition('a number'), isRequired: true },
      max: {
        says: 'At most so much: a decimal, or `${env.x}`.',
        shape: {
          is: 'either',
          of: [{ is: 'number', of: 'decimal', isNegative: false }, text('a value of the environment', '^\\$\\{env\\.[a-z][a-z0-9_]*\\}$')],
        },
        isRequired: true,
      },
      ...LIMIT_SPAN,
    }),
  ),
};

const RULE: MapShape = map('Rule', RULE_FIELDS, {
  exactlyOne: ['allow', 'deny', 'require'],
  excludes: [
    // What grants nothing demands nothing.
    {
      field: 'deny',
      fields: Object.keys(RULE_FIELDS).filter((name) => RULE_FIELDS[name]?.code !== undefined && name !== 'for' && name !== 'when'),
    },
    // What is never effective reserves nothing.
    { field: 'shadow', fields: ['once', 'max', 'sequence', 'budget'] },
  ],
});

const POLICY: Kind = {
  name: 'Policy',
  says: 'Rules about an agent. Nothing is allowed that no rule allows; a deny rule overrides; whatever cannot be evaluated denies.',
  shape: map(
    'Policy',
    {
      agent: { says: 'The agent that the rules are about.', shape: NAME },
      agents: {
        says: 'Or: the agents across which its `deny` and `require` rules cut; `"*"` is every one.',
        shape: { is: 'either', of: [word(['*']), set(NAME)] },
      },
      rules: { says: 'In any order.', shape: list(RULE, { min: 1, max: LIMITS.rulesMax }), isRequired: true },
    },
    { exactlyOne: ['agent', 'agents'] },
  ),
};

const OBSERVE: Kind = {
  name: 'Observe',
  says: 'For a while, calls of these agents pass that only rules refuse; the record says what they would have met.',
  shape: map('Observe', {
    agents: {
      says: 'Whose calls; `"*"` is every one’s.',
      shape: { is: 'either', of: [word(['*']), set(NAME)] },
      isRequired: true,
    },
    from: { says: 'From then on.', shape: INSTANT, otherwise: '30 days before `until`' },
    until: { says: 'Before then, and at most 30 days after `from`.', shape: INSTANT, isRequired: true },
    classes_excluded: {
      says: 'Tools of these classes are refused as ever, beside those of money, pii and export and those whose effect is destructive.',
      shape: set(CLASS),
    },
  }),
};

const names = (max: number): Shape => list(TOKEN, { max });

const NOTED: Shape = { is: 'names', of: list(text('text'), { max: LIST_CAPS.notes }), key: WORD, min: 0, max: LIMITS.listMax };
const CALLS: Shape = list(TOOL, { max: LIST_CAPS.sessionEvents });

const GIVEN: MapShape = map('Given', {
  principal: { says: 'Who calls.', shape: TOKEN, default: 'test' },
  tenant: { says: 'Their tenant.', shape: TOKEN, default: 'test' },
  roles: { says: 'Their roles.', shape: names(LIST_CAPS.roles), default: [] },
  scopes: { says: 'What their credential may be used for.', shape: names(LIST_CAPS.scopes), default: [] },
  attributes: {
    says: 'Their attributes, as an issuer declares them.',
    shape: ATTRIBUTES,
    default: {},
  },
  at: { says: 'When the calls are made.', shape: INSTANT, default: '2026-01-01T12:00:00Z' },
  signed_in: {
    says: 'How the person proved who they are.',
    shape: map('SignedIn', {
      ago: { says: 'How long ago.', shape: span(LIMITS.windowMsMax), otherwise: 'just now' },
      acr: { says: 'In which way.', shape: TOKEN, otherwise: 'unknown' },
      amr: { says: 'By which methods.', shape: names(LIST_CAPS.roles), default: [] },
    }),
    otherwise: 'just now, in no known way',
  },
  justification: { says: 'Why the calls are made.', shape: text('text'), otherwise: 'none' },
  chain: {
    says: 'The agents between the person and this one, first to last.',
    shape: list(
      map('Hop', {
        agent: { says: 'Its name; of another trust domain `domain/agent`.', shape: CALLED_AGENT, isRequired: true },
        first_party: { says: 'Whether it is one of our own.', shape: { is: 'flag' }, isRequired: true },
      }),
      { max: LIMITS.chainMax },
    ),
    default: [],
  },
  approvals: {
    says: 'Who has approved.',
    shape: list(
      map('Approver', {
        person: { says: 'Their id.', shape: TOKEN, isRequired: true },
        roles: { says: 'Their roles.', shape: names(LIST_CAPS.roles), default: [] },
        groups: { says: 'Their groups.', shape: names(LIST_CAPS.roles), default: [] },
      }),
      { max: LIMITS.listMax },
    ),
    default: [],
  },
  isolation: { says: 'Whether the agent is kept from going round its sidecar.', shape: word(ISOLATIONS), default: 'enforced' },
  session: {
    says: 'What the session has come to before the first call.',
    shape: map('GivenSession', {
      case: { says: 'The case that it is about.', shape: text('text'), otherwise: 'none' },
      task: { says: 'The task that it was opened for.', shape: TOKEN, otherwise: 'none' },
      step: { says: 'The only tool that its credential is good for.', shape: text('text'), otherwise: 'any' },
      ...Object.fromEntries(
        ORIGIN_FACT_NAMES.map((name) => [
          name,
          { says: `\`session.${name}\`, as its credential says it.`, shape: text('text', undefined, 256), otherwise: 'not known' },
        ]),
      ),
      root: { says: 'What opened it.', shape: word(CHAIN_ROOTS), default: 'operator' },
      age: { says: 'How old it is.', shape: span(LIMITS.sessionMaxMsMax), otherwise: 'new' },
      risk: { says: 'Its risk.', shape: count(0, 100), otherwise: 'unknown' },
      completed: { says: 'Calls that completed, in order.', shape: CALLS, default: [] },
      denied: { says: 'Calls that were denied, in order.', shape: CALLS, default: [] },
      classes: { says: 'Classes of data that it has seen.', shape: list(CLASS, { max: LIST_CAPS.classes }), default: [] },
      touched: { says: 'Values noted from arguments, by word.', shape: NOTED, default: {} },
      remembered: { says: 'Values noted from results, by word.', shape: NOTED, default: {} },
      reviewed: { says: 'Texts that a person has reviewed.', shape: list(text('text'), { max: LIMITS.listMax }), default: [] },
    }),
    otherwise: 'a new one',
  },
});

const CASES: Shape = list(
  map('Case', {
    call: { says: 'The tool that is called.', shape: TOOL, isRequired: true },
    args: { says: 'Its arguments.', shape: { is: 'json' }, default: {} },
    expect: { says: '`allow`, or the code of the denial.', shape: word(['allow', ...DENIAL_CODES]), isRequired: true },
  }),
  { min: 1, max: LIMITS.casesMax },
);

const TEST: Kind = {
  name: 'Test',
  says: 'Calls and what they must come to; a policy whose tests fail is not published.',
  shape: map(
    'Test',
    {
      name: { says: 'What it proves.', shape: text('text') },
      agent: { says: 'The agent that calls.', shape: NAME, otherwise: 'the only agent there is' },
      given: { says: 'Who calls, when, with what proof, in what session.', shape: GIVEN, otherwise: 'the defaults below' },
      cases: { says: 'Calls that stand each by itself.', shape: CASES },
      steps: { says: 'Calls of one session, one after the other.', shape: CASES },
    },
    { atLeastOne: ['cases', 'steps'] },
  ),
};

export const POLICY_KINDS: readonly Kind[] = [POLICY, OBSERVE, TEST];
