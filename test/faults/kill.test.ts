/**
 * kill -9 of either process, or both, at any moment of a running load. Afterwards: nothing that was acknowledged is lost,
 * chains verify, no call went out without its DECISION, what may happen once happened once, no sequence went back, and
 * service has returned by itself. Real processes. `SALLYPORT_SEED` repeats the moments of a run.
 */

import { verifyExport } from '@sallyport/audit';
import type { Digest, Instant } from '@sallyport/model';
import { systemClock } from '@sallyport/runtime';
import { recordingUpstream, tokenIssuer, type RecordingUpstream } from '@sallyport/testkit';
import { trustRoot } from '@sallyport/trust';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { chance, processes, type App, type Processes } from '../support/processes.ts';
import { versionOf } from '../support/versions.ts';
import { eventually, request } from '../support/world.ts';

const ROUNDS = process.env['SALLYPORT_LONG'] === '1' ? 500 : 6;
const SEED = Number(process.env['SALLYPORT_SEED'] ?? process.pid);
const AGENTS = 4;
/** How long a load runs before the next blow, at most. */
const BLOW_MS_MAX = 600;
const CEILING_MS = 40_000;

interface Line {
  readonly kind: string;
  readonly decision?: string;
  readonly decision_id?: string;
  readonly action?: string;
  readonly tool?: string;
  readonly result?: string;
}

describe(`kill -9 (seed ${SEED})`, () => {
  const clock = systemClock();
  const idp = tokenIssuer();
  let up: RecordingUpstream;
  let running: Processes;

  beforeEach(async () => {
    up = await recordingUpstream();
    running = await processes();
    running.start('control-plane');
    await eventually(() => running.admin.publish(policy(1)).catch(() => undefined), 'a control plane that takes policy', CEILING_MS);
    await running.enrol();
    running.start('sidecar');
    await running.ready();
  });
  afterEach(async () => {
    await running.close();
    await up.close();
  });

  /** Each order may be changed once in thirty days, whatever becomes of the processes in between. */
  const policy = (number: number): string =>
    versionOf({ idp }, up.url, { number })
      // A limit is counted by rule: under another name it would begin anew.
      .replace(`id: v${number}`, 'id: change-orders')
      .replace('Reads one order.', `Changes one order, version ${number}.`)
      .replace('effect: read', 'effect: write')
      .replace('allow: [orders/get_order]', 'allow: [orders/get_order]\n    once: { per: args.order_id, within: 30d }');

  it(`${ROUNDS} times, of either process, under load`, { timeout: 60_000 + ROUNDS * 40_000 }, async () => {
    const random = chance(SEED);
    const over = new AbortController();
    const load = beginLoad(over.signal);
    const seen = { release: 0, freshness: 0, held: 0, heard: 0 };
    for (let round = 0; round < ROUNDS; round++) {
      const victims: readonly App[] =
        ([['sidecar'], ['control-plane'], ['sidecar', 'control-plane']] as const)[Math.floor(random() * 3)] ?? [];
      await new Promise((resolve) => setTimeout(resolve, random() * BLOW_MS_MAX));
      await Promise.all(victims.map((app) => running.kill(app)));
      for (const app of victims) running.start(app);
      await running.ready();
      const answered = load.answered.length;
      await eventually(() => load.answered.length > answered, `service after round ${round}`, CEILING_MS);
      await sequencesOnlyRise(seen);
    }
    over.abort();
    await load.ended;
    await load.publishOnce();
    // Ended in order, so that every record is shipped and the stream is closed.
    expect(await running.stop('sidecar')).toBe(0);
    const lines = await eventually(async () => {
      const exported = await running.admin.tail().catch(() => []);
      return exported.some((line) => line.includes('"CLOSE"') && line.includes('drain')) ? exported : undefined;
    }, 'the closed stream in the log');
    const records = lines.map((line) => JSON.parse(line) as Line);

    // What was acknowledged is there: to an agent, an OUTCOME; to a publisher, a version; to whoever revoked, an entry.
    const orders = up.requests.map(({ body }) => (JSON.parse(body) as { order_id: string }).order_id);
    expect(load.answered.filter((order) => !orders.includes(order))).toEqual([]);
    const outcomes = records.filter(({ kind, result }) => kind === 'OUTCOME' && result === 'ok');
    expect(outcomes.length).toBeGreaterThanOrEqual(load.answered.length);
    for (const digest of load.published) expect([digest, (await running.admin.object(digest)).length > 0]).toEqual([digest, true]);
    expect(Number((await running.admin.status()).revocationSeq)).toBeGreaterThanOrEqual(Math.max(0, ...load.revoked));

    // What may happen once happened once, and nothing reached the tool without a DECISION that says so.
    expect(orders.filter((order, index) => orders.indexOf(order) !== index)).toEqual([]);
    const allowed = records.filter(
      ({ kind, decision, tool }) => kind === 'DECISION' && decision === 'allow' && tool === 'orders/get_order',
    );
    expect(allowed.length).toBeGreaterThanOrEqual(orders.length);
    expect(new Set(allowed.map(({ decision_id: id }) => id)).size).toBe(allowed.length);
    expect(verify(lines)).toMatchObject({ isSound: true, firstBad: null });
  });

  /** Agents that change order after order, and a publisher who changes policy; each goes on whatever happens. */
  function beginLoad(signal: AbortSignal): {
    readonly answered: readonly string[];
    /** Digests of bundles and releases. */
    readonly published: readonly string[];
    readonly revoked: readonly number[];
    readonly ended: Promise<unknown>;
    publishOnce(): Promise<void>;
  } {
    const answered: string[] = [];
    const published: string[] = [];
    const revoked: number[] = [];
    const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
    let asked = 0;
    let version = 1;
    const agent = async (): Promise<void> => {
      let token: string | undefined;
      for (let order = nextOrder(); !signal.aborted;) {
        token ??= await session();
        const answer = token === undefined ? undefined : await change(order, token);
        if (answer?.status === 200) answered.push(order);
        // Carried out before the blow, or not at all: asked again, the one answer is that it was asked before.
        if (answer?.status === 200 || answer?.code === 'call_limit_exceeded') order = nextOrder();
        else [token] = [undefined, await pause(20)];
      }
    };
    const nextOrder = (): string => `O-${String(++asked).padStart(6, '0')}`;
    const publishOnce = async (): Promise<void> => {
      version += 1;
      const bundle = await running.admin.submitBundle(policy(version)).catch(() => undefined);
      if (bundle?.problems.length === 0) published.push(bundle.digest);
      const release = bundle === undefined ? undefined : await running.admin.promote(bundle, { leaveBehind: true }).catch(() => undefined);
      if (release?.refusal === '') published.push(release.digest);
      const seq = await running.admin.revoke('principal', `leaver-${version}@company.com`).catch(() => undefined);
      if (seq !== undefined) revoked.push(seq);
    };
    const publisher = async (): Promise<void> => {
      for (; !signal.aborted; await pause(250)) await publishOnce();
    };
    return { answered, published, revoked, publishOnce, ended: Promise.all([...Array.from({ length: AGENTS }, agent), publisher()]) };
  }

  async function session(): Promise<string | undefined> {
    const headers = { authorization: `Bearer ${idp.mint(clock.wall() as Instant)}` };
    const opened = await request(running.outbound, '/session', { headers }).catch(() => undefined);
    return opened?.status === 201 ? (opened.json()['token'] as string) : undefined;
  }

  async function change(order: string, token: string): Promise<{ status: number; code: unknown } | undefined> {
    const headers = { 'content-type': 'application/json', 'sallyport-session': token };
    const body = JSON.stringify({ order_id: order });
    const answer = await request(running.outbound, '/tools/orders/get_order', { body, headers }).catch(() => undefined);
    return answer === undefined ? undefined : { status: answer.status, code: answer.status === 200 ? '' : answer.json()['code'] };
  }

  /** At the control plane and at the sidecar, over every start. */
  async function sequencesOnlyRise(seen: { release: number; freshness: number; held: number; heard: number }): Promise<void> {
    const status = await eventually(() => running.admin.status().catch(() => undefined), 'the control plane', CEILING_MS);
    const held = await eventually(() => running.metric('sallyport_release_seq'), 'the sidecar', CEILING_MS);
    const heard = await eventually(() => running.metric('sallyport_freshness_seq'), 'the sidecar', CEILING_MS);
    const now = { release: Number(status.releaseSeq), freshness: Number(status.freshnessSeq), held, heard };
    for (const name of ['release', 'freshness', 'held', 'heard'] as const)
      expect([name, now[name]]).toEqual([name, Math.max(now[name], seen[name])]);
    Object.assign(seen, now);
  }

  /** Offline: the pin and the Root are all that is trusted. */
  function verify(lines: readonly string[]): ReturnType<typeof verifyExport> {
    const pin = readFileSync(join(running.dir, 'root-pin'), 'utf8').trim() as Digest;
    const root = trustRoot({ pin, chain: [readFileSync(join(running.dir, 'root', '1.json'))], allowDevelopmentRoot: true });
    if (!root.ok) throw new Error(root.error.detail);
    const roots = root.value.certificateAuthorities.map(({ certificate, prefixes }) => ({ certificate, prefixes }));
    const bytes = lines.map((line) => new TextEncoder().encode(line));
    return verifyExport(bytes, { roots, trustDomain: root.value.trustDomain });
  }
});
