import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Fault, addMs } from '@sallyport/model';
import type { Area, Digest, ReleaseSeq, Ring } from '@sallyport/model';
import { openSqlite } from '@sallyport/store';
import type { Database } from '@sallyport/store';
import { createLog, createMetrics } from '@sallyport/telemetry';
import {
  EMPTY_HIGH_WATER,
  readFreshness,
  readLiveProof,
  trustOnlineKeys,
  trustRoot,
  parseEnvelope,
  verifyFreshness,
  verifyLiveProof,
} from '@sallyport/trust';
import type { Freshness, FreshnessLeaf, LiveProof, TrustedOnlineKeys } from '@sallyport/trust';
import { fakeClock, trustSimulator } from '@sallyport/testkit';
import type { FakeClock, TrustSimulator } from '@sallyport/testkit';
import { FreshnessService } from './api.ts';
import type { FreshnessOptions, IssuedStatement } from './api.ts';

const NONCE = new Uint8Array(32).fill(7);
const LEAF: FreshnessLeaf = {
  area: 'default' as Area,
  ring: 'default' as Ring,
  release: `sha256:${'a'.repeat(64)}` as Digest,
  releaseSeq: 3 as ReleaseSeq,
};

let clock: FakeClock;
let simulator: TrustSimulator;
let database: Database;
let directory: string;
let alerts: string[];

beforeEach(async () => {
  clock = fakeClock();
  simulator = await trustSimulator({ at: addMs(clock.wall(), -86_400_000) });
  directory = mkdtempSync(join(tmpdir(), 'sallyport-freshness-'));
  database = openFile();
  alerts = [];
});
afterEach(async () => {
  await database.close();
  rmSync(directory, { recursive: true });
});

function openFile(): Database {
  const opened = openSqlite({ path: join(directory, 'db') });
  if (!opened.ok) throw new Error(opened.error.code);
  return opened.value;
}

async function service(of: Partial<FreshnessOptions> = {}): Promise<FreshnessService> {
  const root = trustRoot({ pin: simulator.pin, chain: simulator.chain, allowDevelopmentRoot: true });
  if (!root.ok) throw new Error(root.error.detail);
  const [key] = keys().keys;
  if (key === undefined) throw new Error('no key');
  return FreshnessService.open({
    database,
    clock,
    log: createLog({ level: 'error', name: 'test', clock, write: () => undefined }),
    metrics: createMetrics(),
    root: root.value,
    signer: simulator.signer('freshness-1'),
    key,
    ttlMs: 300_000,
    leaves: async () => Promise.resolve([LEAF]),
    revocationHead: async () => Promise.resolve({ seq: 0, head: null }),
    audit: { alert: async ({ code }) => void alerts.push(code) },
    ...of,
  });
}

function keys(): TrustedOnlineKeys {
  const root = trustRoot({ pin: simulator.pin, chain: simulator.chain, allowDevelopmentRoot: true });
  const trusted = root.ok ? trustOnlineKeys(simulator.onlineKeys.envelope, { root: root.value, highWater: EMPTY_HIGH_WATER }) : root;
  if (!trusted.ok) throw new Error(trusted.error.detail);
  return trusted.value;
}

function payload({ envelope }: IssuedStatement): Freshness {
  const parsed = parseEnvelope('Freshness', envelope);
  const read = parsed.ok ? readFreshness(parsed.value.payload) : parsed;
  if (!read.ok) throw new Error(read.error.detail);
  return read.value;
}

function proof({ envelope }: IssuedStatement): LiveProof {
  const parsed = parseEnvelope('LiveProof', envelope);
  const read = parsed.ok ? readLiveProof(parsed.value.payload) : parsed;
  if (!read.ok) throw new Error(read.error.detail);
  return read.value;
}

function issued<T>(result: { ok: true; value: T } | { ok: false; error: { detail: string } }): T {
  if (!result.ok) throw new Error(result.error.detail);
  return result.value;
}

describe('a statement', () => {
  test('verifies, and covers the entry of each place', async () => {
    const statement = issued(await (await service()).state());
    const entries = statement.entriesFor(LEAF.area, LEAF.ring);
    expect(verifyFreshness({ envelope: statement.envelope, entries }, keys())).toMatchObject({ ok: true, value: { leaves: [LEAF] } });
    expect(statement.entriesFor('elsewhere' as Area, LEAF.ring)).toEqual([]);
  });

  test('two replicas, one seq: no number is given out twice, not even over a restart', async () => {
    const first = await service();
    const seqs = [await first.state(), await first.state()].map((one) => payload(issued(one)).seq);
    seqs.push(proof(issued(await first.prove({ nonce: NONCE, identity: 'spiffe://a/sidecar/b/c' }))).seq);
    await database.close();
    database = openFile();
    seqs.push(payload(issued(await (await service()).state())).seq);
    expect(seqs).toEqual([1, 2, 3, 4]);
  });

  test('a read that fails issues nothing, and takes no number', async () => {
    const broken = async (): Promise<never> => {
      await Promise.resolve();
      throw new Fault('store_failed', 'internal', 'disk I/O error');
    };
    expect(await (await service({ leaves: broken })).state()).toMatchObject({ ok: false, error: { code: 'store_failed' } });
    await database.close();
    database = openFile();
    const again = await service();
    expect(await database.read(async (tx) => again.lastSeq(tx))).toBe(0);
  });

  test('restore from backup, under a running process: a number that was issued is not issued again', async () => {
    const freshness = await service();
    for (let n = 0; n < 3; n++) issued(await freshness.state());
    const thief = new DatabaseSync(join(directory, 'db'));
    thief.exec("update store_sequences set value = 1 where service = 'freshness'");
    thief.close();
    expect(await freshness.state()).toMatchObject({ ok: false, error: { code: 'database_behind' } });
    expect(await freshness.prove({ nonce: NONCE, identity: 'x' })).toMatchObject({ ok: false, error: { code: 'database_behind' } });
    expect(alerts).toContain('BEHIND');
    expect(freshness.problem?.code).toBe('database_behind');
  });

  test('nothing is signed outside of the period of the freshness key', async () => {
    const freshness = await service();
    await clock.advance(31 * 86_400_000);
    expect(await freshness.state()).toMatchObject({ ok: false, error: { code: 'key_out_of_period' } });
    expect(await freshness.prove({ nonce: NONCE, identity: 'x' })).toMatchObject({ ok: false, error: { code: 'key_out_of_period' } });
  });

  test('nothing is signed under a root that has expired', async () => {
    const [key] = keys().keys;
    const freshness = await service(key === undefined ? {} : { key: { ...key, notAfter: addMs(key.notAfter, 1_000 * 86_400_000) } });
    await clock.advance(400 * 86_400_000);
    expect(await freshness.state()).toMatchObject({ ok: false, error: { code: 'root_expired' } });
  });

  test('clock back: statements go on, none older than the one before, and the step is alerted', async () => {
    const freshness = await service();
    const before = payload(issued(await freshness.state())).issuedAt;
    clock.setWall(addMs(clock.wall(), -3_600_000));
    await clock.advance(10_000);
    expect(payload(issued(await freshness.state())).issuedAt).toBe(before + 10_000);
    expect(alerts).toEqual(['CLOCK_STEP']);
  });

  test('clock back over a restart: nothing is signed for an earlier instant than before', async () => {
    const before = payload(issued(await (await service()).state())).issuedAt;
    clock.setWall(addMs(clock.wall(), -3_600_000));
    await database.close();
    database = openFile();
    expect(payload(issued(await (await service()).state())).issuedAt).toBe(before);
  });
});

describe('live proofs', () => {
  test('those asked for in one turn share one read, and each has its own number, nonce and identity', async () => {
    let reads = 0;
    const freshness = await service({
      leaves: async () => {
        reads += 1;
        return Promise.resolve([LEAF]);
      },
    });
    const asked = ['one', 'two', 'three'].map((identity, index) => ({ identity, nonce: new Uint8Array(32).fill(index) }));
    const proofs = await Promise.all(asked.map(async (question) => freshness.prove(question)));
    expect(reads).toBe(1);
    expect(proofs.map((one) => proof(issued(one)))).toMatchObject(asked.map((question, index) => ({ ...question, seq: index + 1 })));
    const [first] = proofs;
    const statement = issued(first ?? { ok: false, error: { detail: 'none' } });
    expect(verifyLiveProof({ envelope: statement.envelope, entries: statement.entriesFor(LEAF.area, LEAF.ring) }, keys()).ok).toBe(true);
  });

  test('the read begins after the question: what was released in between is attested', async () => {
    let leaves: readonly FreshnessLeaf[] = [];
    const freshness = await service({ leaves: async () => Promise.resolve(leaves) });
    const asked = freshness.prove({ nonce: NONCE, identity: 'x' });
    leaves = [LEAF];
    expect(issued(await asked).entriesFor(LEAF.area, LEAF.ring)).toHaveLength(1);
  });

  test('a signer that fails answers everyone, and the next question is asked anew', async () => {
    const signer = {
      ...simulator.signer('freshness-1'),
      sign: (): never => {
        throw new Error('the token was pulled');
      },
    };
    const freshness = await service({ signer });
    const answers = await Promise.all(['a', 'b'].map(async (identity) => freshness.prove({ nonce: NONCE, identity })));
    expect(answers).toMatchObject([{ ok: false }, { ok: false }]);
  });
});
