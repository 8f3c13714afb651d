/** The issuers of freshness of two control planes on one PostgreSQL: no number with two contents, and nothing that goes back. */

import { addMs, type Area, type Digest, type Instant, type ReleaseSeq, type Ring } from '@sallyport/model';
import { openPostgres, type Database, type Migration } from '@sallyport/store';
import { createLog, createMetrics } from '@sallyport/telemetry';
import { fakeClock, trustSimulator, type FakeClock, type TrustSimulator } from '@sallyport/testkit';
import { EMPTY_HIGH_WATER, parseEnvelope, readFreshness, trustOnlineKeys, trustRoot, type Freshness } from '@sallyport/trust';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { FreshnessService, type IssuedStatement } from '../../../packages/control-plane/src/freshness/api.ts';
import { needs } from '../../engines.ts';
import { startPostgres } from '../../engines/postgres.ts';
import type { Running } from '../../engines/running.ts';

const withPostgres = await needs('postgres');
const PLACE = { area: 'default' as Area, ring: 'default' as Ring };
const HEADS: readonly Migration[] = [{ name: 'heads', sql: 'create table heads_release (release_seq integer primary key) strict;' }];
const digest = (n: number): Digest => `sha256:${String(n).padStart(64, '0')}` as Digest;

interface Replica {
  readonly database: Database;
  readonly clock: FakeClock;
  readonly freshness: FreshnessService;
  /** Makes the next release the head. */
  release(): Promise<void>;
}

withPostgres('statements of two control planes on one PostgreSQL', () => {
  let postgres: Running;
  let simulator: TrustSimulator;
  let schemas = 0;
  const replicas: Replica[] = [];
  const begun = fakeClock().wall();

  beforeAll(async () => {
    postgres = await startPostgres();
    simulator = await trustSimulator({ at: addMs(begun, -86_400_000) });
  });
  afterAll(async () => {
    await Promise.all(replicas.map(async ({ database }) => database.close()));
    await postgres.stop();
  });

  async function replica(schema: string): Promise<Replica> {
    const clock = fakeClock();
    const url = `postgres://sallyport@${encodeURIComponent(postgres.address)}/postgres`;
    const opened = await openPostgres({ url, schema, clock, onFailure: () => undefined });
    if (!opened.ok) throw new Error(opened.error.code);
    const database = opened.value;
    const heads = await database.service('heads', HEADS);
    const head = heads.prepare('select coalesce(max(release_seq), 0) as head from heads_release');
    const insert = heads.prepare('insert into heads_release (release_seq) values (?)');
    const root = trustRoot({ pin: simulator.pin, chain: simulator.chain, allowDevelopmentRoot: true });
    const keys = root.ok ? trustOnlineKeys(simulator.onlineKeys.envelope, { root: root.value, highWater: EMPTY_HIGH_WATER }) : root;
    const key = keys.ok ? keys.value.keys[0] : undefined;
    if (!root.ok || key === undefined) throw new Error('no root or key');
    const freshness = await FreshnessService.open({
      database,
      clock,
      log: createLog({ level: 'error', name: 'test', clock, write: () => undefined }),
      metrics: createMetrics(),
      root: root.value,
      signer: simulator.signer('freshness-1'),
      key,
      ttlMs: 300_000,
      leaves: async (tx) => {
        const seq = (await head.get(tx))?.['head'] as number;
        return seq === 0 ? [] : [{ ...PLACE, release: digest(seq), releaseSeq: seq as ReleaseSeq }];
      },
      revocationHead: async () => Promise.resolve({ seq: 0, head: null }),
      audit: { alert: async () => Promise.resolve() },
    });
    const release = async (): Promise<void> =>
      database.transaction(async (tx) => void (await insert.run(tx, ((await head.get(tx))?.['head'] as number) + 1)));
    const made = { database, clock, freshness, release };
    replicas.push(made);
    return made;
  }

  const pair = async (): Promise<readonly [Replica, Replica]> => {
    const schema = `statements_${(schemas += 1)}`;
    return [await replica(schema), await replica(schema)];
  };
  const issued = (of: Awaited<ReturnType<FreshnessService['state']>>): IssuedStatement => {
    if (!of.ok) throw new Error(of.error.detail);
    return of.value;
  };
  const payload = ({ envelope }: IssuedStatement): Freshness => {
    const parsed = parseEnvelope('Freshness', envelope);
    const read = parsed.ok ? readFreshness(parsed.value.payload) : parsed;
    if (!read.ok) throw new Error(read.error.detail);
    return read.value;
  };

  test('two replicas, one seq: whoever asks at once, a number is given once, and a higher one never attests an older head', async () => {
    const two = await pair();
    const statements = await Promise.all(
      Array.from({ length: 40 }, async (_, index) => {
        const { freshness, release } = two[index % 2 === 0 ? 0 : 1];
        if (index % 5 === 0) await release();
        return issued(await freshness.state());
      }),
    );
    const bySeq = statements.toSorted((a, b) => a.seq - b.seq);
    expect(bySeq.map(({ seq }) => seq)).toEqual(Array.from({ length: 40 }, (_, index) => index + 1));
    const heads = bySeq.map((one) => one.entriesFor(PLACE.area, PLACE.ring)[0]?.releaseSeq ?? 0);
    expect(heads).toEqual(heads.toSorted((a, b) => a - b));
    expect(heads.at(-1)).toBe(8);
  });

  test('proofs of both are numbered among the statements', async () => {
    const [one, other] = await pair();
    const question = { nonce: new Uint8Array(32).fill(7), identity: 'spiffe://a/sidecar/b/c' };
    const seqs = await Promise.all([
      one.freshness.prove(question),
      other.freshness.prove(question),
      one.freshness.state(),
      other.freshness.prove(question),
    ]);
    expect(new Set(seqs.map((of) => issued(of).seq))).toEqual(new Set([1, 2, 3, 4]));
  });

  test('a replica whose clock is behind says no earlier instant than the one before it', async () => {
    const [ahead, behind] = await pair();
    ahead.clock.setWall(addMs(begun, 20_000) as Instant);
    const before = payload(issued(await ahead.freshness.state())).issuedAt;
    expect(payload(issued(await behind.freshness.state())).issuedAt).toBe(before);
  });

  test('a proof from a partitioned replica: what cannot reach the database issues nothing', async () => {
    const [one, other] = await pair();
    issued(await one.freshness.state());
    await one.database.close();
    expect(await one.freshness.state()).toMatchObject({ ok: false, error: { code: 'store_failed' } });
    expect(await one.freshness.prove({ nonce: new Uint8Array(32), identity: 'x' })).toMatchObject({ ok: false });
    expect(issued(await other.freshness.state()).seq).toBe(2);
  });
});
