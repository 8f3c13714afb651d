/** `sallyport agents join-token`: what one new sidecar needs to know whom to trust, and a secret that is good once. */

import { formatInstant, formatProblem, isAgentName } from '@sallyport/model';
import type { AgentName } from '@sallyport/model';
import { parseListenAddress, readConfigText } from '@sallyport/runtime';
import { command } from '../command.ts';
import type { Command, Invocation } from '../command.ts';
import { LINK_OPTIONS, withLink } from '../connect.ts';
import type { Link } from '../connect.ts';
import { at, outProblem, writeFile } from '../files.ts';
import type { Exit } from '../io.ts';
import { duration, required, text } from '../option.ts';
import { problemJson } from '../output.ts';
import { areaOption, placeOf, placeProblems, ringOption } from '../places.ts';
import { registerJoinToken } from '../publish/join-token.ts';
import { registrationWarnings } from '../publish/registered.ts';

const OPTIONS = {
  agent: required('--agent NAME', 'the agent beside which the sidecar stands; a published bundle has to register it'),
  ttl: duration('--ttl SPAN', 'how long it can be spent', { otherwise: '1h', minMs: 60_000, maxMs: 86_400_000 }),
  out: text('--out FILE', 'new file for the token, mode 0600 (default: standard output)'),
  enrolmentAddress: text(
    '--enrolment-address HOST:PORT',
    'where the sidecar enrols (default: from control-plane/config.yaml, where it is an address to connect to)',
  ),
  ...LINK_OPTIONS,
  area: areaOption,
  ring: ringOption,
} as const;

export const agentsJoinToken: Command = command({
  name: 'agents join-token',
  group: 'Operate',
  summary: 'make a one-time token with which a new sidecar enrols',
  details: [
    'The token carries the pin of your own Root and the digest of your CA, so that the sidecar believes nobody on first use, and a secret of which the control plane gets only the hash.',
  ],
  options: OPTIONS,
  examples: [
    {
      line: 'agents join-token --agent support-triage --out join-token',
      says: 'then: join_token_file in the configuration of the sidecar',
    },
  ],
  async run(call) {
    const { options, out } = call;
    const wrong = [...placeProblems(options)];
    if (!isAgentName(options.agent))
      wrong.push({
        path: '--agent',
        message: `\`${options.agent}\` is not the name of an agent`,
        remedy: 'lower-case letters, digits and hyphens',
      });
    if (wrong.length > 0) return out.refuse({ exit: 2, problems: wrong });
    // Before anything is registered: a token that cannot be kept is a token that nobody can spend.
    const misplaced = options.out === undefined ? undefined : outProblem(at(call.io.cwd, options.out), { as: 'new', shown: options.out });
    if (misplaced !== undefined) return out.refuse({ exit: 64, problems: [misplaced] });
    return withLink(options, call, (link) => makeToken(link, call));
  },
});

async function makeToken(link: Link, { options, io, out }: Invocation<typeof OPTIONS>): Promise<Exit> {
  const made = await registerJoinToken(
    link,
    {
      agent: options.agent as AgentName,
      place: placeOf(options),
      ttlMs: options.ttl,
      enrolmentAddress: options.enrolmentAddress ?? configuredAddress(link),
    },
    io,
  );
  if (!made.ok) return out.refuse(made.error);
  const { token, expiresAt } = made.value;
  const wish = { agent: options.agent as AgentName, place: placeOf(options) };
  const warnings = await registrationWarnings(link, wish, io);
  if (!out.isJson) for (const warning of warnings) out.progress(formatProblem(warning));
  const facts = {
    agent: options.agent,
    area: options.area,
    ring: options.ring,
    expires_at: formatInstant(expiresAt),
    warnings: warnings.map(problemJson),
  };
  if (options.out === undefined) {
    out.progress(`good once, until ${formatInstant(expiresAt)}`);
    await out.answer({ ...facts, token }, token);
    return 0;
  }
  const file = at(io.cwd, options.out);
  const written = writeFile(file, `${token}\n`, { mode: 0o600, as: 'new' });
  if (!written.ok) return out.refuse({ exit: 64, problems: [written.error] });
  await out.answer(
    { ...facts, file },
    `${file}: good once, until ${formatInstant(expiresAt)}, for ${options.agent} in ${options.area}, ring ${options.ring}`,
  );
  return 0;
}

/** The enrolment address of the folder's own control plane, unless it listens everywhere or nowhere in particular. */
function configuredAddress({ home }: Link): string | undefined {
  const configured = readConfigText(home.controlPlaneConfig, 'listen.enrolment');
  const address = configured.ok && configured.value !== undefined ? parseListenAddress(configured.value) : undefined;
  const isReachable = address?.kind === 'tcp' && address.port !== 0 && address.host !== '0.0.0.0' && address.host !== '::';
  return isReachable && configured.ok ? configured.value : undefined;
}
