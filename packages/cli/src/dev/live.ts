/** What goes on while `dev` runs: decisions are shown, and changes of the policy go into force. */

import { fail, ok } from '@sallyport/model';
import type { AgentName, Result } from '@sallyport/model';
import type { BuiltParts } from '@sallyport/policy';
import { at } from '../files.ts';
import type { Io } from '../io.ts';
import { refusal } from '../output.ts';
import type { Refusal } from '../output.ts';
import { followDecisions } from '../policy/follow-decisions.ts';
import { sidecarDecisions } from '../policy/sidecar-decisions.ts';
import type { TestedPolicy } from '../policy/tested-policy.ts';
import { operatorOf } from './operator.ts';
import type { DevKey, DevOperator, OperatorWish } from './operator.ts';
import { losesAgent } from './publisher.ts';
import type { Publisher } from './publisher.ts';
import { tellBroken, tellDecision, tellPolicy } from './reporter.ts';
import type { Reporter } from './reporter.ts';
import type { DevControlPlane, DevSidecar } from './stack.ts';
import { changesIn } from './watch.ts';

export interface DevelopOptions extends OperatorWish {
  /** As typed. */
  readonly policy: string;
  readonly state: string;
  readonly agent: string | undefined;
  readonly port: number | undefined;
  readonly json: boolean;
  readonly verbose: boolean;
}

/** What was found before anything was started. */
export interface Prepared {
  readonly options: DevelopOptions;
  readonly io: Io;
  readonly to: Reporter;
  readonly key: DevKey;
  readonly publisher: Publisher;
  readonly agent: AgentName;
  /** Owner: `develop` until it runs, then `republish`. The policy in force, and who calls under it. */
  readonly now: { tested: TestedPolicy; operator: DevOperator; releaseSeq: number };
}

/** Both sides of the wire. */
export interface Stack {
  readonly controlPlane: DevControlPlane;
  readonly sidecar: DevSidecar;
}

/** Every decision as it falls, until the signal aborts; then those that had fallen by then. */
export async function showDecisions({ options, io, to }: Prepared, adminSocket: string, signal: AbortSignal): Promise<void> {
  const from = sidecarDecisions(adminSocket, { signal });
  const last = sidecarDecisions(adminSocket, { signal: new AbortController().signal });
  const view = { policyDir: options.policy, isWhole: options.verbose };
  for await (const followed of followDecisions(from, { place: 0, io: { signal }, last })) {
    if (followed.ok) tellDecision(to, followed.value, view);
    else io.note(`dev: decisions are not shown any more: ${followed.error.problems[0]?.message ?? ''}\n`);
  }
}

/** Every change of the folder goes into force, or is said to be broken. */
export async function republish(prepared: Prepared, running: Stack, signal: AbortSignal): Promise<void> {
  const { options, io, to, now } = prepared;
  for await (const _ of changesIn(at(io.cwd, options.policy), { clock: io.clock, signal })) {
    const begun = io.clock.boot();
    const taken = await takeChange(prepared, running);
    if (!taken.ok) tellBroken(to, taken.error, now.releaseSeq);
    else if (taken.value === 'unchanged') to.note('policy: saved, and nothing has changed in what it says');
    else tellPolicy(to, now.tested, { releaseSeq: now.releaseSeq, tookMs: Math.round(io.clock.boot() - begun) });
  }
}

async function takeChange(prepared: Prepared, { controlPlane, sidecar }: Stack): Promise<Result<'taken' | 'unchanged', Refusal>> {
  const { options, io, to, key, publisher, agent, now } = prepared;
  const tested = publisher.read();
  if (!tested.ok) return tested;
  const lost = losesAgent(tested.value, agent, options.policy);
  if (lost !== undefined) return fail(lost);
  const operator = operatorOf(tested.value.built, { ...options, agent }, { key, random: io.random });
  if (!operator.ok) return fail({ exit: 1, problems: operator.error });
  const published = await publisher.publish(tested.value, controlPlane.link);
  if (!published.ok) return published;
  if (published.value === 'unchanged') return ok('unchanged');
  const { releaseSeq } = published.value;
  if (!(await sidecar.enforces(releaseSeq)))
    return fail(refusal(1, `release ${releaseSeq} is published, and the sidecar does not enforce it: ${sidecar.obstacle()}`));
  const added = serversOf(tested.value.built).filter((name) => !serversOf(now.tested.built).includes(name));
  if (added.length > 0) to.note(`dev: the command does not know of ${added.join(', ')}: its variables are those of its start`);
  Object.assign(now, { tested: tested.value, operator: operator.value, releaseSeq });
  return ok('taken');
}

function serversOf({ policy }: BuiltParts): readonly string[] {
  return policy.parts.servers.map(({ name }) => name);
}
