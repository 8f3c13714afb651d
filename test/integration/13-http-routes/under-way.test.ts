/** A release switches while a mapped call is out: whether it would still be the same call, and still allowed. */

import { LEASE_RECHECK_MS } from '../../../packages/sidecar/src/pipeline/leases.ts';
import { recordingUpstream, type RecordingUpstream, type ScriptedAnswer } from '@sallyport/testkit';
import { afterEach, expect, it } from 'vitest';
import { pipelineHarness, type Harness, type HttpAnswer } from '../../support/pipeline-harness.ts';

const SECRETS = '{ kind: Tool, name: shop/secrets, effect: read, route: { method: GET, path: /things/secrets } }\n---\n';

const policy = (url: string, { more = '', allowed = 'shop/thing' } = {}): string => `
apiVersion: sallyport.dev/v1
kind: Agent
name: support-triage
owner: team-support
uses: [shop]
sessions: { roots: [operator], idle: 15m, max: 8h }
---
kind: ToolServer
name: shop
http: { url: "${url}" }
network: loopback
---
kind: Tool
name: shop/thing
effect: read
route: { method: GET, path: "/things/{name}" }
arguments: { required: [name], properties: { name: { type: string } } }
---
{ kind: Tool, name: shop/act, effect: write, route: { method: POST, path: /act } }
---
${more}kind: Policy
agent: support-triage
rules:
  - { id: all, allow: [${allowed}], for: { roles: [support-rep] } }
`;

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
});

/** A call of `/http/shop/things/secrets` that is out. */
async function out(script: ScriptedAnswer): Promise<{ gate: Harness; up: RecordingUpstream; answer: Promise<HttpAnswer> }> {
  const up = await recordingUpstream(script);
  const gate = await pipelineHarness(policy(up.url), { upstream: { firstByteMsMax: 60_000, idleMsMax: 60_000 } });
  closing.push(
    () => up.close(),
    () => gate.close(),
  );
  const headers = { 'sallyport-session': await gate.session() };
  const answer = gate.request('/http/shop/things/secrets', { method: 'GET', headers });
  await up.arrived(1);
  return { gate, up, answer };
}

it.each([
  ['its tool is allowed no more', { allowed: 'shop/act' }, 'tool_not_allowed'],
  ['its path is another tool’s now', { more: SECRETS }, 'schema_violation'],
])('it is cut where %s', async (_, change, code) => {
  const { gate, up, answer } = await out({ kind: 'hang' });
  gate.publish(policy(up.url, change));
  await gate.clock.advance(LEASE_RECHECK_MS);
  expect((await answer).json()).toMatchObject({ code });
  expect(gate.outcomes.at(-1)).toMatchObject({ result: 'cut', code });
});

it('it goes on where it is the same call', async () => {
  const go = Promise.withResolvers<void>();
  const parts = ['{"ok":', 'true}'];
  const { gate, up, answer } = await out({
    kind: 'parts',
    parts,
    headers: { 'content-type': 'application/json' },
    between: () => go.promise,
  });
  gate.publish(policy(up.url, { allowed: 'shop/thing, shop/act' }));
  await gate.clock.advance(3 * LEASE_RECHECK_MS);
  go.resolve();
  expect([(await answer).status, (await answer).json()]).toEqual([200, { ok: true }]);
});
