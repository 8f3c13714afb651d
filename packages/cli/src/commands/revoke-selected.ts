/** `sallyport revoke run`, `… tool` and the rest: one command for each thing that can be denied by its name. */

import { addMs, fail, formatInstant, ok, parseInstant } from '@sallyport/model';
import type { Instant, Result } from '@sallyport/model';
import type { SelectorType } from '@sallyport/trust';
import { command } from '../command.ts';
import type { Command } from '../command.ts';
import { LINK_OPTIONS } from '../connect.ts';
import { duration, text } from '../option.ts';
import { refusal } from '../output.ts';
import { reasonOption } from '../reason.ts';
import { revoke } from './revoke.ts';

const DAY_MS = 86_400_000;
const UNTIL_MS_MAX = 3_650 * DAY_MS;

/** Which things a command of this file denies. `token` and `principal` have more to say, and files of their own. */
type Selected = Exclude<SelectorType, 'token' | 'principal'>;

interface Shape {
  readonly type: Selected;
  readonly summary: string;
  readonly detail: string;
  readonly argument: string;
  readonly says: string;
  readonly example: string;
  /** What is denied unless said otherwise: whatever happens (`never`), or what was authenticated so far. */
  readonly before: 'now' | 'never';
  readonly span: string;
}

const SHAPES: readonly Shape[] = [
  {
    type: 'credential',
    summary: 'deny one credential: an API key, a certificate, a token by its id or hash',
    detail: 'API keys and certificates are named <method>:<id>; a token without an id by sha256:<hash of its first two parts>.',
    argument: 'ID',
    says: 'as records name it',
    example: 'partner-keys:9f2c81d04b6e',
    before: 'never',
    span: '3650d',
  },
  {
    type: 'session',
    summary: 'end one session',
    detail: 'Whoever had it may open another one. The log forgets it once no session can be that old.',
    argument: 'ID',
    says: 'id of the session, as records name it',
    example: '6c1e….Zt0…',
    before: 'never',
    span: '7d',
  },
  {
    type: 'run',
    summary: 'end one run: every session of it, and every token that names it',
    detail: 'The run is what the issuer’s mapping calls `run_id`. Other runs of the same person go on.',
    argument: 'ID',
    says: 'id of the run, as records name it',
    example: 'R-1842',
    before: 'never',
    span: '30d',
  },
  {
    type: 'account',
    summary: 'deny a person as one issuer vouches for them, and nobody of the same name elsewhere',
    detail: 'Write the issuer, a space, and the principal, in one word for the shell.',
    argument: 'ACCOUNT',
    says: '`<issuer> <principal>`',
    example: '"https://login.company.com alice@company.com"',
    before: 'now',
    span: '30d',
  },
  {
    type: 'agent',
    summary: 'deny an agent everywhere, and every call that it handed on',
    detail: 'Nothing is renewed for its sidecars either.',
    argument: 'AGENT',
    says: 'the agent, by its name',
    example: 'support-triage',
    before: 'never',
    span: '3650d',
  },
  {
    type: 'sidecar',
    summary: 'deny one sidecar',
    detail: 'It refuses every call, and its certificate is not renewed. Let it in again as another instance.',
    argument: 'SPIFFE-ID',
    says: 'as fleet status --json names it',
    example: 'spiffe://company.com/sidecar/support-triage/one',
    before: 'never',
    span: '3650d',
  },
  {
    type: 'tool',
    summary: 'take a tool away from everybody: no call, no listing, and reads that are under way are cut',
    detail: 'A write that has been sent is not cut. Publish a policy without the tool before the revocation lapses.',
    argument: 'TOOL',
    says: '`server/tool`',
    example: 'orders/create_refund',
    before: 'never',
    span: '30d',
  },
  {
    type: 'bundle',
    summary: 'withdraw a bundle: no release may name it, and what it decides is refused',
    detail: 'Where it is in force, nothing is allowed until another release is. Roll back first where that may wait.',
    argument: 'DIGEST',
    says: 'as policy log --json names it',
    example: 'sha256:5b0c…',
    before: 'never',
    span: '3650d',
  },
  {
    type: 'everything',
    summary: 'sign everybody out, everywhere',
    detail: 'Signing in anew helps, unless --before says never: then nothing is allowed, and no sidecar is renewed, until it lapses.',
    argument: 'WHAT',
    says: 'an asterisk, in quotes for the shell',
    example: "'*'",
    before: 'now',
    span: '30d',
  },
];

function commandOf({ type, summary, detail, argument, says, example, before: usual, span }: Shape): Command {
  const wording = usual === 'now' ? 'signing in anew helps' : 'whatever is signed in with';
  return command({
    name: `revoke ${type}`,
    group: 'Operate',
    summary,
    details: [detail, 'Sidecars apply it within a second; one that is cut off denies once it is stale.'],
    arguments: [{ name: argument, says }],
    options: {
      before: text('--before INSTANT', `deny what was authenticated before: now, never or an instant (default: ${usual}, ${wording})`),
      for: duration('--for SPAN', 'how long to remember it', { otherwise: span, minMs: 60_000, maxMs: UNTIL_MS_MAX }),
      until: text('--until INSTANT', 'remember it until then, in the place of --for'),
      reason: reasonOption,
      ...LINK_OPTIONS,
    },
    examples: [{ line: `revoke ${type} ${example} --reason "under investigation"`, says: 'from now on' }],
    async run(call) {
      const {
        arguments: [value = ''],
        options,
        io,
        out,
      } = call;
      const now = io.clock.wall();
      const before = beforeOf(options.before ?? usual, now);
      if (!before.ok) return out.refuse(refusal(2, before.error, `now, never, or an instant such as ${formatInstant(now)}`));
      const until = options.until === undefined ? addMs(now, options.for) : parseInstant(options.until);
      if (until === undefined || until <= now || until > addMs(now, UNTIL_MS_MAX))
        return out.refuse(
          refusal(2, `\`${options.until ?? ''}\` is no instant of the next ten years`, `such as ${formatInstant(addMs(now, DAY_MS))}`),
        );
      return revoke({ type, value, before: before.value, expiresAt: until }, call);
    },
  });
}

/** The moment that `--before` names. */
function beforeOf(given: string, now: Instant): Result<Instant | 'never', string> {
  if (given === 'never') return ok(given);
  const instant = given === 'now' ? now : parseInstant(given);
  return instant === undefined ? fail(`\`${given.slice(0, 80)}\` is not an instant`) : ok(instant);
}

export const REVOKE_SELECTED: readonly Command[] = SHAPES.map(commandOf);
