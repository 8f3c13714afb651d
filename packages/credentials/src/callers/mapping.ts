/** From a verified subject to a principal, by the rows of the bundle and nothing else. */

import type { CallerMapping, CallerMethodConfig, Instant, Principal, Problem } from '@sallyport/model';

/** The principal of a verified subject, `undefined` where no row names it. */
export type PrincipalOf = (subject: string, authenticatedAt: Instant) => Principal | undefined;

/** A mapping ready for use. Two rows for one subject, or an empty subject, are problems: which one counts would be chance. */
export function principalOf(config: CallerMethodConfig, problems: Problem[]): PrincipalOf {
  const rows = new Map<string, CallerMapping['identity']>();
  for (const [index, { subject, identity }] of config.principals.entries()) {
    if (subject === '') problems.push({ path: `principals[${index}].subject`, message: 'is empty' });
    if (rows.has(subject)) problems.push({ path: `principals[${index}].subject`, message: `\`${subject}\` has a row already` });
    rows.set(subject, identity);
  }
  // No issuer has a name of this form, so a rule about an issuer never means a method.
  const issuer = `caller:${config.name}`;
  return (subject, authenticatedAt) => {
    const identity = rows.get(subject);
    return identity === undefined ? undefined : { ...identity, issuer, authenticatedAt };
  };
}
