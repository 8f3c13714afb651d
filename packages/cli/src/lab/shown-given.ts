/** What a test takes for given, in one line: only what is not what it would be anyway. */

import { formatInstant } from '@sallyport/model';
import type { TestGiven } from '@sallyport/policy';

/** Noon of the first of January 2026, the moment of tests that name none. */
const AT = Date.UTC(2026, 0, 1, 12);
const NAMES_SHOWN = 6;

export function shownGiven({ principal, tenant, roles, scopes, session, at, approvals, justification }: TestGiven): string {
  const { completed, denied, risk, task, root, origin = {} } = session;
  const known: readonly (readonly [string, string | undefined])[] = [
    ['principal', principal === 'test' ? undefined : principal],
    ['tenant', tenant === 'test' ? undefined : tenant],
    ['roles', listed(roles)],
    ['scopes', listed(scopes)],
    ['case', session.case],
    ['task', task],
    ...Object.entries(origin),
    ['root', root === 'operator' ? undefined : root],
    ['risk', risk === undefined ? undefined : String(risk)],
    ['completed', listed(completed)],
    ['denied', denied.length === 0 ? undefined : `${denied.length} calls`],
    ['approved by', listed(approvals.map(({ person }) => person))],
    ['justified', justification === undefined ? undefined : 'yes'],
    ['at', Number(at) === AT ? undefined : formatInstant(at)],
  ];
  const told = known.flatMap(([name, value]) => (value === undefined ? [] : [`${name} ${value}`]));
  return told.length === 0 ? 'of anyone' : `with ${told.join(', ')}`;
}

function listed(names: readonly string[]): string | undefined {
  if (names.length === 0) return undefined;
  const more = names.length - NAMES_SHOWN;
  return `[${names.slice(0, NAMES_SHOWN).join(', ')}${more > 0 ? `, … ${more} more` : ''}]`;
}
