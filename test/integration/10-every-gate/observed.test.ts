/** An agent that is observed, and rules in shadow, through the whole pipeline: what passes, what still does not, and what is written. */

import { addMs, Fault, formatInstant } from '@sallyport/model';
import { recordingUpstream, type RecordingUpstream } from '@sallyport/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LEASE_RECHECK_MS } from '../../../packages/sidecar/src/pipeline/leases.ts';
import { pipelineHarness, type Harness } from '../../support/pipeline-harness.ts';

const POLICY = (url: string, more = ''): string => `
apiVersion: sallyport.dev/v1
kind: Agent
name: support-triage
owner: team-support
uses: [shop]
sessions: { roots: [operator], idle: 5m, max: 8h }
---
kind: ToolServer
name: shop
http: { url: "${url}" }
network: loopback
---
kind: Tool
name: shop/note
effect: write
route: { method: POST, path: /note }
arguments: { required: [text], properties: { text: { type: string, pattern: "^[a-z]+$" } } }
---
{ kind: Tool, name: shop/pay, effect: write, classes: [money], route: { method: POST, path: /pay } }
---
{ kind: Tool, name: shop/drop, effect: destructive, route: { method: POST, path: /drop } }
---
{ kind: Tool, name: shop/look, effect: read, route: { method: GET, path: /look } }
---
{ kind: Tool, name: shop/mail, effect: read, classes: [mail], route: { method: GET, path: /mail } }
---
kind: Policy
agent: support-triage
rules:
  - { id: note, allow: [shop/note], for: { roles: [support-rep] }, when: args.text != "wild", max: { count: 2 } }
  - { id: rest, allow: [shop/pay, shop/drop, shop/look, shop/mail], for: { roles: [support-rep] }, scopes: ['shop:clear'] }
${more}`;

const MINUTE = 60_000;

let up: RecordingUpstream;
let gate: Harness;
let counted: string[];

beforeEach(async () => {
  up = await recordingUpstream({ kind: 'json', body: { ok: true } });
  counted = [];
  gate = await pipelineHarness(POLICY(up.url), {
    ports: ({ counters }) => ({
      counters: {
        ...counters,
        observed: (code) => void counted.push(`observed ${code}`),
        shadow: (rule, would) => void counted.push(`${rule} would ${would}`),
      },
    }),
  });
});
afterEach(async () => {
  await gate.close();
  await up.close();
});

/** From now for an hour. */
const observing = (more = ''): void => {
  const now = gate.clock.wall();
  const from = formatInstant(addMs(now, -MINUTE));
  const until = formatInstant(addMs(now, 60 * MINUTE));
  gate.publish(
    POLICY(up.url, `---\nkind: Observe\nagents: [support-triage]\nfrom: ${from}\nuntil: ${until}\nclasses_excluded: [mail]\n${more}`),
  );
};

describe('an agent that is observed', () => {
  it('does what its rules refuse, and the record says what they would have answered', async () => {
    observing();
    const session = await gate.session();
    expect((await gate.call('shop/look', {}, session)).status).toBe(200);
    expect(up.requests).toHaveLength(1);
    expect(gate.decisions.at(-1)).toMatchObject({
      decision: 'allow',
      code: '-',
      gate: 'authorization',
      rule_id: 'observe',
      detail: 'observed: insufficient_scope by rule rest',
    });
    expect(gate.outcomes.at(-1)).toMatchObject({ result: 'ok' });
    expect(counted).toEqual(['observed insufficient_scope']);
  });

  it('does what its rules allow as if nobody looked', async () => {
    observing();
    expect((await gate.call('shop/note', { text: 'fine' }, await gate.session())).status).toBe(200);
    expect(gate.decisions.at(-1)).toMatchObject({ decision: 'allow', rule_id: 'note', detail: null });
    expect(counted).toEqual([]);
  });

  it('does nothing more once its time is over', async () => {
    observing();
    expect((await gate.call('shop/look', {}, await gate.session())).status).toBe(200);
    await gate.clock.advance(60 * MINUTE);
    expect((await gate.call('shop/look', {}, await gate.session())).json()).toMatchObject({ code: 'insufficient_scope' });
    expect(counted).toEqual(['observed insufficient_scope']);
  });

  it('has a call cut that is still out when its time is over', async () => {
    const hanging = await recordingUpstream({ kind: 'hang' });
    const patient = await pipelineHarness(POLICY(hanging.url), { upstream: { firstByteMsMax: 60_000, idleMsMax: 60_000 } });
    const until = formatInstant(addMs(patient.clock.wall(), 2 * LEASE_RECHECK_MS));
    patient.publish(POLICY(hanging.url, `---\nkind: Observe\nagents: "*"\nuntil: ${until}\n`));
    const answer = patient.call('shop/look', {}, await patient.session());
    await hanging.arrived(1);
    await patient.clock.advance(3 * LEASE_RECHECK_MS);
    expect((await answer).json()).toMatchObject({ code: 'insufficient_scope' });
    expect(patient.outcomes.at(-1)).toMatchObject({ result: 'cut', code: 'insufficient_scope' });
    await patient.close();
    await hanging.close();
  });

  it.each([
    ['of class money', 'shop/pay', {}, 'insufficient_scope'],
    ['that destroys', 'shop/drop', {}, 'insufficient_scope'],
    ['of a class that the Observe excludes', 'shop/mail', {}, 'insufficient_scope'],
    ['with arguments that the schema refuses', 'shop/note', { text: '../' }, 'schema_violation'],
    ['that is not there', 'shop/gone', {}, 'tool_not_allowed'],
  ])('is refused a call %s', async (_, tool, args, code) => {
    observing();
    expect((await gate.call(tool, args, await gate.session())).json()).toMatchObject({ code });
    expect(up.requests).toEqual([]);
    expect(counted).toEqual([]);
  });

  it('sees no tool that no rule is for', async () => {
    observing();
    const guest = await gate.session({ roles: ['guest'] });
    expect((await gate.call('shop/look', {}, guest)).json()).toMatchObject({ code: 'tool_not_allowed' });
  });

  it('meets its limits: what passes observed counts, and what is one too many does not pass', async () => {
    observing();
    const session = await gate.session();
    const seen: unknown[] = [];
    for (const text of ['wild', 'wild', 'wild', 'fine']) {
      const answer = await gate.call('shop/note', { text }, session);
      seen.push(answer.status === 200 ? 200 : answer.json()['code']);
    }
    expect(seen).toEqual([200, 200, 'call_limit_exceeded', 'call_limit_exceeded']);
  });

  it.each([
    ['without a session', (): Promise<string> => Promise.resolve('x'), undefined],
    ['with a stale bundle', (): Promise<string> => gate.session(), 'policy_stale'],
  ])('is refused %s', async (_, sessionOf, code) => {
    observing();
    const session = await sessionOf();
    if (code !== undefined) gate.hold((held) => ({ ...held, state: 'stale' }) as typeof held);
    const answer = await gate.call('shop/look', {}, session);
    expect(answer.status).toBe(code === undefined ? 401 : 503);
    expect(up.requests).toEqual([]);
  });

  it('does nothing of which no record can be kept', async () => {
    observing();
    const session = await gate.session();
    gate.breakJournal(new Fault('journal_failed', 'internal', 'the disk is gone'));
    expect((await gate.call('shop/look', {}, session)).json()).toMatchObject({ code: 'audit_unavailable' });
    expect(up.requests).toEqual([]);
  });
});

describe('a rule in shadow', () => {
  it('that denies hides no call from the tool, and is on record with what it would have done', async () => {
    gate.publish(POLICY(up.url, '  - { id: tight, deny: [shop/note], shadow: true }\n'));
    expect((await gate.call('shop/note', { text: 'fine' }, await gate.session())).status).toBe(200);
    expect(gate.decisions.at(-1)).toMatchObject({
      decision: 'allow',
      rule_id: 'note',
      detail: 'rule tight in shadow would have denied it (no_matching_policy)',
    });
    expect(counted).toEqual(['tight would deny']);
  });

  it('that allows lets nothing through, and no caller hears of it', async () => {
    gate.publish(POLICY(up.url, '  - { id: loose, allow: [shop/look], shadow: true }\n'));
    const answer = await gate.call('shop/look', {}, await gate.session());
    expect(answer.json()).toMatchObject({ code: 'insufficient_scope' });
    expect(answer.text).not.toContain('shadow');
    expect(up.requests).toEqual([]);
    expect(gate.decisions.at(-1)?.detail).toContain('; rule loose in shadow would have allowed it');
    expect(counted).toEqual(['loose would allow']);
  });
});
