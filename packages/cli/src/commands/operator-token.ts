/** `sallyport operator token`: a token of the development issuer, for trying things out by hand. */

import { formatInstant, addMs } from '@sallyport/model';
import { command } from '../command.ts';
import type { Command } from '../command.ts';
import { dirOption, homeOf } from '../home.ts';
import { devIssuerDir, loadDevIssuer, operatorToken as signedToken } from '../onboard/dev-issuer.ts';
import { duration, many, text, textOr } from '../option.ts';

export const operatorToken: Command = command({
  name: 'operator token',
  group: 'Operate',
  summary: "sign a token of this machine's development issuer",
  details: [
    'Says what an identity provider would say of an operator, for policies that `sallyport init` made: they pin the public half of the key in the folder of the administrator. Whoever can read that key can be anybody to them, so no other policy should.',
  ],
  options: {
    subject: textOr('--as SUBJECT', 'whom the token speaks for', 'developer@localhost'),
    role: many('--role ROLE', 'a role of theirs (repeatable; default: member)'),
    scope: many('--scope SCOPE', 'a scope of theirs (repeatable)'),
    tenant: textOr('--tenant TENANT', 'their tenant', 'development'),
    case: text('--case CASE', 'the case that they work on'),
    ttl: duration('--ttl SPAN', 'how long it is good', { otherwise: '15m', minMs: 1_000, maxMs: 3_600_000 }),
    dir: dirOption,
  },
  examples: [
    { line: 'operator token', says: 'a member for a quarter of an hour' },
    { line: 'operator token --as alice@company.com --role support-rep --scope refunds:write', says: 'somebody in particular' },
  ],
  async run({ options, io, out }) {
    const issuer = loadDevIssuer(devIssuerDir(homeOf(options.dir, io)));
    if (!issuer.ok) return out.refuse({ exit: 64, problems: [issuer.error] });
    const { subject, tenant, scope, ttl } = options;
    const roles = options.role.length === 0 ? ['member'] : options.role;
    const now = io.clock.wall();
    const about = options.case === undefined ? {} : { case: options.case };
    const token = signedToken(issuer.value, { subject, tenant, roles, scopes: scope, ...about, ttlMs: ttl }, { now, random: io.random });
    await out.answer({ token, issuer: issuer.value.issuer, expires_at: formatInstant(addMs(now, ttl)) }, token);
    return 0;
  },
});
