/** Demands on proof: a fresh or stronger sign-in, a reason, a review, an approval. What was not proven is not there. */

import { encodeHex, sha256, utf8 } from '@sallyport/crypto';
import { expression } from '../reader/condition.ts';
import { token } from '../reader/forms.ts';
import { LIMITS } from '../reader/limits.ts';
import { atLeastOne, count } from '../reader/read-more.ts';
import { duration, fields, formatSpan, list } from '../reader/read.ts';
import type { ApprovedBy, Approver, DemandValues } from '../rule.ts';
import type { Demand } from './demand.ts';

export const justification: Demand<DemandValues['justification']> = {
  field: 'justification',
  read: (node, problems) => {
    const declared = fields(node, problems, '`justification`', ['chars_min']);
    return declared === undefined ? undefined : { charsMin: declared.get('chars_min', count('`chars_min`', 1, 1_000)) ?? 1 };
  },
  encode: ({ charsMin }) => ({ chars_min: charsMin }),
  judge: ({ charsMin }, { input }) => {
    const length = input.justification?.trim().length ?? 0;
    return length >= charsMin
      ? undefined
      : { subject: 'justification', detail: `wants a justification of at least ${charsMin} characters` };
  },
  facts: ({ justification: given }) => ({ justification: given === undefined ? 'none' : 'given' }),
  remedy: () => 'say why, as a justification of the call',
};

export const stepUp: Demand<DemandValues['stepUp']> = {
  field: 'step_up',
  read: (node, problems) => {
    const demands = ['max_age', 'acr', 'amr'];
    const declared = fields(node, problems, '`step_up`', [...demands, 'when']);
    if (declared === undefined || !atLeastOne(declared, demands, problems)) return undefined;
    const words = (what: string) => list(what, token, { min: 1, key: (entry: string) => entry });
    const maxAgeMs = declared.get('max_age', duration('`max_age`', LIMITS.windowMsMax));
    const [acr, amr, when] = [declared.get('acr', words('`acr`')), declared.get('amr', words('`amr`')), declared.get('when', expression)];
    return {
      ...(maxAgeMs === undefined ? {} : { maxAgeMs }),
      ...(acr === undefined ? {} : { acr }),
      ...(amr === undefined ? {} : { amr }),
      ...(when === undefined ? {} : { when }),
    };
  },
  encode: ({ maxAgeMs, acr, amr, when }) => ({
    ...(maxAgeMs === undefined ? {} : { max_age: formatSpan(maxAgeMs) }),
    ...(acr === undefined ? {} : { acr: acr.toSorted() }),
    ...(amr === undefined ? {} : { amr: amr.toSorted() }),
    ...(when === undefined ? {} : { when }),
  }),
  expressions: ({ when }) => (when === undefined ? [] : [{ steps: ['when'], text: when, wants: 'bool' }]),
  judge: ({ maxAgeMs, acr, amr, when }, { input: { principal, now }, value }) => {
    // A guard that cannot be evaluated guards.
    if (when !== undefined && value(when) === false) return undefined;
    const age = now - principal.authenticatedAt;
    if (maxAgeMs !== undefined && !(age >= 0 && age <= maxAgeMs))
      return { subject: 'max_age', detail: `wants a sign-in of the last ${formatSpan(maxAgeMs)}` };
    if (acr !== undefined && (principal.acr === undefined || !acr.includes(principal.acr)))
      return { subject: 'acr', detail: `wants acr ${acr.join(' or ')}` };
    if (amr !== undefined && !amr.some((method) => principal.amr?.includes(method) === true))
      return { subject: 'amr', detail: `wants amr ${amr.join(' or ')}` };
    return undefined;
  },
  facts: ({ principal, now }) => ({
    'principal.auth_age_s': Math.floor((now - principal.authenticatedAt) / 1_000),
    'principal.acr': principal.acr,
    'principal.amr': principal.amr ?? [],
  }),
  remedy: ({ acr, amr }) =>
    `sign in again${[...(acr ?? []), ...(amr ?? [])].length === 0 ? '' : `, by ${[...(acr ?? []), ...(amr ?? [])].join(' or ')}`}`,
};

export const reviewed: Demand<DemandValues['reviewed']> = {
  field: 'reviewed',
  read: expression,
  encode: (value) => value,
  expressions: (text) => [{ steps: [], text, wants: 'text' }],
  judge: (text, { input: { session }, value }) => {
    const content = value(text);
    if (typeof content !== 'string') return { subject: text, detail: `\`${text}\` has no text to review` };
    return session.reviews?.has(encodeHex(sha256(utf8(content)))) === true
      ? undefined
      : { subject: text, detail: `this very text of \`${text}\` has not been reviewed in this session` };
  },
  facts: ({ session }) => ({ 'reviews in this session': session.reviews?.size ?? 0 }),
  remedy: (text) => `have a person review \`${text}\` in this session, and send it unchanged`,
};

export const approval: Demand<DemandValues['approval']> = {
  field: 'approval',
  read: (node, problems) => {
    const declared = fields(node, problems, '`approval`', ['when', 'by!', 'count']);
    const by = declared?.get('by', approvedBy);
    if (declared === undefined || by === undefined) return undefined;
    const when = declared.get('when', expression);
    return { ...(when === undefined ? {} : { when }), by, count: declared.get('count', count('`count`', 1, 16)) ?? 1 };
  },
  encode: ({ when, by, count: wanted }) => ({ ...(when === undefined ? {} : { when }), by: { ...by }, count: wanted }),
  expressions: ({ when }) => (when === undefined ? [] : [{ steps: ['when'], text: when, wants: 'bool' }]),
  judge: ({ when, by, count: wanted }, { input: { approvals = [] }, value }) => {
    if (when !== undefined && value(when) === false) return undefined;
    // One person approves once, however often they say so.
    const people = new Set(approvals.filter((approver) => fits(by, approver)).map(({ person }) => person));
    return people.size >= wanted ? undefined : { subject: describeBy(by), detail: `wants the approval of ${wanted} by ${describeBy(by)}` };
  },
  facts: ({ approvals = [] }) => ({ approvals: approvals.map(({ person }) => person) }),
  remedy: ({ by, count: wanted }) => `have it approved by ${wanted} of ${describeBy(by)}`,
};

const approvedBy = (node: Parameters<typeof expression>[0], problems: Parameters<typeof expression>[1]): ApprovedBy | undefined => {
  const declared = fields(node, problems, '`by`', ['role', 'group', 'person']);
  const given = (['role', 'group', 'person'] as const).filter((key) => declared?.has(key));
  const [key] = given;
  if (declared === undefined) return undefined;
  if (key === undefined || given.length > 1) return problems.add(node.place, '`by` names exactly one of role, group and person');
  const name = declared.get(key, token);
  return name === undefined ? undefined : ({ [key]: name } as unknown as ApprovedBy);
};

function fits(by: ApprovedBy, { person, roles, groups }: Approver): boolean {
  if ('role' in by) return roles.includes(by.role);
  return 'group' in by ? groups.includes(by.group) : by.person === person;
}

function describeBy(by: ApprovedBy): string {
  if ('role' in by) return `role ${by.role}`;
  return 'group' in by ? `group ${by.group}` : `person ${by.person}`;
}
