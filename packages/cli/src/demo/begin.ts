/** The first act of every story: from a folder with a policy in it to a sidecar that enforces it. */

import { Fault } from '@sallyport/model';
import { act } from './telling.ts';
import type { Telling } from './telling.ts';
import { createAgent } from './agent.ts';
import { POLICY_DIR } from './stage.ts';
import { answerOf } from './typed.ts';
import type { Typed } from './typed.ts';

export interface Beginning {
  readonly title: string;
  /** A good token: before there is a policy, not even that opens anything. */
  readonly operatorToken: string;
}

/** Rejects where nothing could be published: then there is nothing to show. */
export async function begin(telling: Telling, { title, operatorToken }: Beginning): Promise<void> {
  const { stage, steps } = telling;
  const started = stage.startControlPlane();
  // Whatever it rejects with is met below; not to be unhandled while the policy is read.
  started.catch(() => undefined);
  await act(telling, { name: 'policy', title });
  const checked = answerOf(await stage.type(['policy', 'check', POLICY_DIR, '--json']));
  const { ok, rules, tools } = checked as { readonly ok: boolean; readonly rules: number; readonly tools: number };
  steps.take(
    { name: 'policy check', expected: 'ok', seen: ok ? 'ok' : JSON.stringify(checked) },
    { mark: 'ok', title: `policy check    ${rules} rules for ${tools} tools, no error`, details: [] },
  );
  const tested = answerOf(await stage.type(['policy', 'test', POLICY_DIR, '--json']));
  const { passed = 0, failed } = tested as { readonly passed?: number; readonly failed?: number };
  steps.take(
    { name: 'policy test', expected: '0 fail', seen: failed === undefined ? JSON.stringify(tested) : `${failed} fail` },
    { mark: 'ok', title: `policy test     ${passed} of ${passed + (failed ?? 0)} cases pass`, details: [] },
  );
  await started;
  const published = answerOf(await stage.type(['policy', 'publish', POLICY_DIR, '--no-promote', '--json']));
  const { bundle } = published as { readonly bundle?: { readonly revision: number } };
  steps.take(
    {
      name: 'policy publish',
      expected: 'revision 1',
      seen: bundle === undefined ? JSON.stringify(published) : `revision ${bundle.revision}`,
    },
    { mark: 'ok', title: 'policy publish  signed by its publisher, and not in force yet', details: [] },
  );
  mustSucceed(await stage.type(['agents', 'join-token', '--agent', stage.agent, '--out', 'join-token']));
  await stage.startSidecar();
  await refusesWithoutPolicy(telling, operatorToken);
  await isConnected(telling);
  const released = answerOf(await stage.type(['release', 'promote', '--wait', '--json']));
  const isReleased = steps.take(
    { name: 'release promote', expected: 'release 1, in force at 1 sidecar', seen: publishedText(released) },
    { mark: 'ok', title: 'release promote signed by its releaser, and in force', details: [] },
  );
  if (!isReleased) throw new Fault('config_invalid', 'internal', 'there is no policy to go on with');
}

/** Under the identity that it got for its one-time token. */
async function isConnected({ stage, steps }: Telling): Promise<void> {
  const identity = `spiffe://demo.local/sidecar/${stage.agent}/demo`;
  // Owner: the wait below.
  let seen = 'nobody';
  await stage.until(async () => {
    const fleet = answerOf(await stage.type(['fleet', 'status', '--json']));
    const [one] = fleet['sidecars'] as readonly { readonly sidecar: string; readonly connected: boolean }[];
    if (one !== undefined) seen = `${one.sidecar}, ${one.connected ? 'connected' : 'gone'}`;
    return one?.connected === true;
  });
  steps.take(
    { name: 'fleet status', expected: `${identity}, connected`, seen },
    { mark: 'ok', title: 'fleet status    one sidecar, connected under its own identity', details: [identity] },
  );
}

/** The first thing that a new sidecar does is refuse. */
async function refusesWithoutPolicy({ stage, steps, io }: Telling, operatorToken: string): Promise<void> {
  const agent = createAgent({ port: stage.outboundPort, signal: io.signal });
  const opened = await agent.open(operatorToken);
  const seen = 'token' in opened ? 'a session' : `${opened.status} ${opened.code}`;
  steps.take(
    { name: 'a sidecar without a policy', expected: '503 policy_unavailable', seen },
    { mark: 'DENY', title: 'a call before there is any policy', details: ['503 policy_unavailable: a new sidecar enrols, and refuses'] },
  );
}

/** `release 2, in force at 1 sidecar`, or the answer as it is. */
export function publishedText(published: Readonly<Record<string, unknown>>): string {
  const { release, fleet } = published as {
    readonly release?: { readonly release_seq: number };
    readonly fleet?: { readonly active: number; readonly missing: readonly object[] } | null;
  };
  if (release === undefined || fleet === undefined || fleet === null) return JSON.stringify(published);
  const missing = fleet.missing.length === 0 ? '' : `, ${fleet.missing.length} missing`;
  return `release ${release.release_seq}, in force at ${fleet.active} sidecar${missing}`;
}

function mustSucceed({ exit, said }: Typed): void {
  if (exit !== 0) throw new Fault('config_invalid', 'internal', said.trim());
}
