/** What a test takes for given: who calls, when, with what proof, and what the session has come to. */

import { ISOLATIONS, formatInstant } from '@sallyport/model';
import type { Instant, Json } from '@sallyport/model';
import { CHAIN_ROOTS } from '../demand/session.ts';
import { WORD, calledAgentName, className, token, toolNameReader } from '../reader/forms.ts';
import { LIMITS, LIST_CAPS } from '../reader/limits.ts';
import type { Node, Problems } from '../reader/node.ts';
import { count, instant } from '../reader/read-more.ts';
import type { Reader } from '../reader/read.ts';
import { bool, duration, fields, formatSpan, list, oneOf, record, text } from '../reader/read.ts';
import type { Approver, GivenSession, Hop, TestGiven } from '../rule.ts';
import { ORIGIN_FACT_NAMES } from '../session.ts';

/** Noon of a Thursday: a moment that most hours hold, and that does not move. */
const AT = Date.UTC(2026, 0, 1, 12) as Instant;

/** As long as a claim may be (sessions, section 2). */
const ORIGIN_CHARS_MAX = 256;

const NEW_SESSION: GivenSession = {
  root: 'operator',
  ageMs: 0,
  completed: [],
  denied: [],
  classes: [],
  touched: {},
  remembered: {},
  reviewed: [],
};

export const NOTHING_GIVEN: TestGiven = {
  principal: 'test',
  tenant: 'test',
  roles: [],
  scopes: [],
  attributes: {},
  session: NEW_SESSION,
  at: AT,
  authAgeMs: 0,
  amr: [],
  chain: [],
  approvals: [],
  isolation: 'enforced',
};

const names = (max: number): Reader<readonly string[]> => list('a list of names', token, { max });

const GIVEN = [
  'principal',
  'tenant',
  'roles',
  'scopes',
  'attributes',
  'session',
  'at',
  'signed_in',
  'justification',
  'chain',
  'approvals',
  'isolation',
];

export const testGiven: Reader<TestGiven> = (node, problems) => {
  const declared = fields(node, problems, '`given`', GIVEN);
  if (declared === undefined) return undefined;
  const justification = declared.get('justification', text('a justification'));
  return {
    principal: declared.get('principal', token) ?? NOTHING_GIVEN.principal,
    tenant: declared.get('tenant', token) ?? NOTHING_GIVEN.tenant,
    roles: declared.get('roles', names(LIST_CAPS.roles)) ?? [],
    scopes: declared.get('scopes', names(LIST_CAPS.scopes)) ?? [],
    attributes: declared.get('attributes', record('`attributes`', attributeValue, WORD)) ?? {},
    session: declared.get('session', givenSession) ?? NEW_SESSION,
    at: declared.get('at', instant) ?? AT,
    ...(declared.get('signed_in', signedIn) ?? { authAgeMs: 0, amr: [] }),
    ...(justification === undefined ? {} : { justification }),
    chain: declared.get('chain', list('`chain`', hop, { max: LIMITS.chainMax })) ?? [],
    approvals: declared.get('approvals', list('`approvals`', approver)) ?? [],
    isolation: declared.get('isolation', oneOf('isolation', ISOLATIONS)) ?? NOTHING_GIVEN.isolation,
  };
};

/** A value as a token or a mapping brings it. */
export function attributeValue(node: Node, problems: Problems): string | number | boolean | readonly string[] | undefined {
  if (node.kind === 'list') return list('an attribute', text('an entry'), { max: LIST_CAPS.attribute })(node, problems);
  // A claim may be empty text; beyond that it is text like any other.
  if (node.kind === 'scalar' && typeof node.value === 'string' && node.value !== '') return text('an attribute')(node, problems);
  if (node.kind === 'scalar' && node.value !== null) return node.value;
  return problems.add(node.place, 'an attribute is text, a number, true or false, or a list of text');
}

const signedIn: Reader<Pick<TestGiven, 'authAgeMs' | 'acr' | 'amr'>> = (node, problems) => {
  const declared = fields(node, problems, '`signed_in`', ['ago', 'acr', 'amr']);
  if (declared === undefined) return undefined;
  const acr = declared.get('acr', token);
  return {
    authAgeMs: declared.get('ago', duration('`ago`', LIMITS.windowMsMax)) ?? 0,
    ...(acr === undefined ? {} : { acr }),
    amr: declared.get('amr', names(LIST_CAPS.roles)) ?? [],
  };
};

const hop: Reader<Hop> = (node, problems) => {
  const declared = fields(node, problems, 'a hop', ['agent!', 'first_party!']);
  const [agent, firstParty] = [declared?.get('agent', calledAgentName), declared?.get('first_party', bool)];
  return agent === undefined || firstParty === undefined ? undefined : { agent, first_party: firstParty };
};

const approver: Reader<Approver> = (node, problems) => {
  const declared = fields(node, problems, 'an approval', ['person!', 'roles', 'groups']);
  const person = declared?.get('person', token);
  if (declared === undefined || person === undefined) return undefined;
  return {
    person,
    roles: declared.get('roles', names(LIST_CAPS.roles)) ?? [],
    groups: declared.get('groups', names(LIST_CAPS.roles)) ?? [],
  };
};

const SESSION = [
  'case',
  'task',
  'step',
  ...ORIGIN_FACT_NAMES,
  'root',
  'age',
  'risk',
  'completed',
  'denied',
  'classes',
  'touched',
  'remembered',
  'reviewed',
];

const givenSession: Reader<GivenSession> = (node, problems) => {
  const declared = fields(node, problems, '`session`', SESSION);
  if (declared === undefined) return undefined;
  const words = {
    case: declared.get('case', text('a case')),
    task: declared.get('task', token),
    step: declared.get('step', text('a step')),
    risk: declared.get('risk', count('`risk`', 0, 100)),
  };
  const said = ORIGIN_FACT_NAMES.flatMap((name) => {
    const value = declared.get(name, text('a text', undefined, ORIGIN_CHARS_MAX));
    return value === undefined ? [] : [[name, value] as const];
  });
  const tools = list('a list of tools', toolNameReader, { max: LIST_CAPS.sessionEvents });
  const notes = record('notes', list('a list of values', text('a value'), { max: LIST_CAPS.notes }), WORD);
  return {
    ...(Object.fromEntries(Object.entries(words).filter(([, value]) => value !== undefined)) as Partial<GivenSession>),
    ...(said.length === 0 ? {} : { origin: Object.fromEntries(said) }),
    root: declared.get('root', oneOf('root', CHAIN_ROOTS)) ?? 'operator',
    ageMs: declared.get('age', duration('`age`', LIMITS.sessionMaxMsMax)) ?? 0,
    completed: declared.get('completed', tools) ?? [],
    denied: declared.get('denied', tools) ?? [],
    classes: declared.get('classes', list('`classes`', className, { max: LIST_CAPS.classes })) ?? [],
    touched: declared.get('touched', notes) ?? {},
    remembered: declared.get('remembered', notes) ?? {},
    reviewed: declared.get('reviewed', list('`reviewed`', text('a text'))) ?? [],
  };
};

/** What differs from nothing; names are always written. */
export function encodeGiven(given: TestGiven): Json {
  const { principal, tenant, roles, scopes, attributes, session, at, authAgeMs, acr, amr, justification, chain, approvals, isolation } =
    given;
  const signed = {
    ...(authAgeMs === 0 ? {} : { ago: formatSpan(authAgeMs) }),
    ...(acr === undefined ? {} : { acr }),
    ...(amr.length === 0 ? {} : { amr }),
  };
  return {
    principal,
    tenant,
    roles,
    scopes,
    attributes,
    session: encodeSession(session),
    ...(at === AT ? {} : { at: formatInstant(at) }),
    ...(Object.keys(signed).length === 0 ? {} : { signed_in: signed }),
    ...(justification === undefined ? {} : { justification }),
    ...(chain.length === 0 ? {} : { chain: chain.map((one) => ({ ...one })) }),
    ...(approvals.length === 0 ? {} : { approvals: approvals.map((one) => ({ ...one })) }),
    ...(isolation === NOTHING_GIVEN.isolation ? {} : { isolation }),
  };
}

function encodeSession({ root, ageMs, completed, denied, classes, touched, remembered, reviewed, origin, ...words }: GivenSession): Json {
  const lists = { denied, classes, reviewed };
  return {
    ...words,
    ...origin,
    ...(root === 'operator' ? {} : { root }),
    ...(ageMs === 0 ? {} : { age: formatSpan(ageMs) }),
    completed,
    ...Object.fromEntries(Object.entries(lists).filter(([, values]) => values.length > 0)),
    ...(Object.keys(touched).length === 0 ? {} : { touched: { ...touched } }),
    ...(Object.keys(remembered).length === 0 ? {} : { remembered: { ...remembered } }),
  };
}
