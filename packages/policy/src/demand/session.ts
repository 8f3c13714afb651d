/** Demands on the session: what it is for, how old it is, what it has come to, who stands in between. */

import type { ChainRoot } from '@sallyport/model';
import { token } from '../reader/forms.ts';
import { LIMITS } from '../reader/limits.ts';
import { atLeastOne, count, isTrue } from '../reader/read-more.ts';
import { fields, duration, formatSpan, list, oneOf } from '../reader/read.ts';
import type { DemandValues } from '../rule.ts';
import type { Demand } from './demand.ts';

/** `system` is a schedule or an event, here or where a delegated session began. */
export const CHAIN_ROOTS: readonly ChainRoot[] = ['operator', 'schedule', 'event', 'system', 'external'];

/** Everything that a word of `roots` stands for. */
export function rootsMeant(roots: readonly ChainRoot[]): readonly ChainRoot[] {
  return roots.includes('system') ? [...new Set<ChainRoot>([...roots, 'schedule', 'event'])] : roots;
}

export const task: Demand<DemandValues['task']> = {
  field: 'task',
  read: list('`task`', token, { min: 1, key: (entry) => entry }),
  encode: (value) => value.toSorted(),
  judge: (value, { input: { session } }) =>
    session.task !== undefined && value.includes(session.task)
      ? undefined
      : { subject: value.join(' or '), detail: `wants a session for the task ${value.join(' or ')}` },
  facts: ({ session }) => ({ 'session.task': session.task }),
  remedy: (value) => `open a session for the task ${value.join(' or ')}`,
};

/** Which purpose is for conditions to say; here, that there is one. */
export const requirePurpose: Demand<DemandValues['requirePurpose']> = {
  field: 'require_purpose',
  read: isTrue,
  encode: (value) => value,
  judge: (_, { input: { session } }) =>
    session.origin?.purpose === undefined ? { subject: 'purpose', detail: 'wants a session whose credential says its purpose' } : undefined,
  facts: ({ session }) => ({ 'session.purpose': session.origin?.purpose }),
  remedy: () => 'open a session with a credential that says why the access happens',
};

export const session: Demand<DemandValues['session']> = {
  field: 'session',
  read: (node, problems) => {
    const declared = fields(node, problems, '`session`', ['max_age', 'denials_max']);
    if (declared === undefined || !atLeastOne(declared, ['max_age', 'denials_max'], problems)) return undefined;
    const maxAgeMs = declared.get('max_age', duration('`max_age`', LIMITS.sessionMaxMsMax));
    const denialsMax = declared.get('denials_max', count('`denials_max`', 0, LIMITS.countMax));
    return { ...(maxAgeMs === undefined ? {} : { maxAgeMs }), ...(denialsMax === undefined ? {} : { denialsMax }) };
  },
  encode: ({ maxAgeMs, denialsMax }) => ({
    ...(maxAgeMs === undefined ? {} : { max_age: formatSpan(maxAgeMs) }),
    ...(denialsMax === undefined ? {} : { denials_max: denialsMax }),
  }),
  judge: ({ maxAgeMs, denialsMax }, { input: { session: facts, now } }) => {
    const age = facts.startedAt === undefined ? undefined : now - facts.startedAt;
    // A session from the future is no young one: its age is not known.
    if (maxAgeMs !== undefined && !(age !== undefined && age >= 0 && age < maxAgeMs))
      return { subject: 'max_age', detail: `wants a session younger than ${formatSpan(maxAgeMs)}` };
    if (denialsMax !== undefined && (facts.denied === undefined || facts.denied.length > denialsMax))
      return { subject: 'denials_max', detail: `wants at most ${denialsMax} denials in the session` };
    return undefined;
  },
  facts: ({ session: facts, now }) => ({
    'session.age_s': facts.startedAt === undefined ? undefined : Math.floor((now - facts.startedAt) / 1_000),
    'size(session.denied)': facts.denied?.length,
  }),
  remedy: () => 'open a new session',
};

export const delegation: Demand<DemandValues['delegation']> = {
  field: 'delegation',
  read: (node, problems) => {
    const keys = ['depth', 'first_party', 'roots'];
    const declared = fields(node, problems, '`delegation`', keys);
    if (declared === undefined || !atLeastOne(declared, keys, problems)) return undefined;
    const depth = declared.get('depth', count('`depth`', 0, LIMITS.chainMax));
    const firstParty = declared.get('first_party', isTrue);
    const roots = declared.get('roots', list('`roots`', oneOf('root', CHAIN_ROOTS), { min: 1, key: (entry) => entry }));
    return {
      ...(depth === undefined ? {} : { depth }),
      ...(firstParty === undefined ? {} : { firstParty }),
      ...(roots === undefined ? {} : { roots }),
    };
  },
  encode: ({ depth, firstParty, roots }) => ({
    ...(depth === undefined ? {} : { depth }),
    ...(firstParty === undefined ? {} : { first_party: firstParty }),
    ...(roots === undefined ? {} : { roots: roots.toSorted() }),
  }),
  judge: ({ depth, firstParty, roots }, { input: { chain = [], session: facts } }) => {
    if (depth !== undefined && chain.length > depth) return { subject: 'depth', detail: `wants at most ${depth} agents in between` };
    if (firstParty === true && !chain.every((hop) => hop.first_party))
      return { subject: 'first_party', detail: 'wants agents of our own in between' };
    if (roots !== undefined && (facts.root === undefined || !rootsMeant(roots).includes(facts.root)))
      return { subject: 'roots', detail: `wants a session that began with ${roots.join(' or ')}` };
    return undefined;
  },
  facts: ({ chain = [], session: facts }) => ({ 'size(chain)': chain.length, 'session.root': facts.root }),
  remedy: () => 'call it from an agent that stands closer to the person',
};

export const risk: Demand<DemandValues['risk']> = {
  field: 'risk',
  read: (node, problems) => {
    const max = fields(node, problems, '`risk`', ['max!'])?.get('max', count('`max`', 0, 100));
    return max === undefined ? undefined : { max };
  },
  encode: ({ max }) => ({ max }),
  judge: ({ max }, { input: { session: facts } }) =>
    facts.risk !== undefined && facts.risk <= max ? undefined : { subject: 'max', detail: `wants a known risk of at most ${max}` },
  facts: ({ session: facts }) => ({ 'session.risk': facts.risk }),
  remedy: ({ max }) => `let the session's risk be at most ${max}`,
};
