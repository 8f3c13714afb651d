/**
 * The power goes before every disk operation of a recorder at work: opening, decisions on disk and in the kernel,
 * checkpoints, shipping, removal of acknowledged segments, CLOSE. Whatever is found, the journal opens; every record
 * that was acknowledged as on disk is there or with the collector; and with the next start's stream the chain verifies.
 */

import { stateAfter, verifyExport, type DecisionBody, type OutcomeBody } from '@sallyport/audit';
import { encodeBase64, readVerifyKey, utf8 } from '@sallyport/crypto';
import { generateKey, issueCertificate, randomBytes, signerFromPem } from '@sallyport/crypto/keys';
import { invariant, type Instant, type StreamId } from '@sallyport/model';
import type { FileSystem } from '@sallyport/runtime';
import { openJournal, type Journal, type Recovered } from '@sallyport/store';
import { everyPowerLoss, fakeClock, testAuthority } from '@sallyport/testkit';
import { beforeAll, describe, expect, it } from 'vitest';
import { startRecorder, type RecorderOptions, type StreamRecorder } from './recorder.ts';
import { strangers } from './strangers.ts';

const FOLDER = '/state/journal';
const SIDECAR = 'spiffe://test.sallyport.dev/sidecar/support-triage/one';
/** Small, so that a story of twenty records fills and removes several. */
const SEGMENT_BYTES = 4_096;

type Signing = Pick<RecorderOptions, 'signer' | 'start'>;
/** The collector's side: lines by stream, as they were shipped. */
type Collected = Map<StreamId, Uint8Array[]>;

describe('a loss of power at every disk operation of the recorder', () => {
  let signing: Signing;
  let roots: { certificate: Uint8Array; prefixes: string[] }[];
  beforeAll(async () => {
    const { ca, trustDomain } = await testAuthority();
    const key = generateKey('ed25519');
    const subjectPublicKey = readVerifyKey('ed25519', key.publicRaw);
    invariant(subjectPublicKey !== undefined, 'a new key can be read');
    const now = Math.floor(Date.now() / 1_000) * 1_000;
    const life = { notBefore: now - 86_400_000, notAfter: now + 86_400_000 };
    const leaf = await issueCertificate({ ca, subjectPublicKey, spiffeId: SIDECAR, usage: 'audit', serial: randomBytes(16), ...life });
    const certificates = [leaf, ca.certificate].map((der) => encodeBase64(der));
    roots = [{ certificate: ca.certificate, prefixes: ['/sidecar/'] }];
    expect(trustDomain).toBe('test.sallyport.dev');
    signing = {
      signer: signerFromPem(key.privatePem),
      start: { sidecar: SIDECAR, agent: 'support-triage', instance: 'one', build: 'test', certificates },
    };
  });

  const open = async (fs: FileSystem): Promise<{ journal: Journal; recovered: Recovered; recorder: StreamRecorder }> => {
    const opened = await openJournal({
      disk: fs,
      directory: FOLDER,
      segmentBytesMax: SEGMENT_BYTES,
      logBytesMax: 64 * SEGMENT_BYTES,
      headroomBytes: SEGMENT_BYTES,
      snapshot: () => utf8('{"v":1,"attempts":[]}'),
    });
    if (!opened.ok) throw new Error(JSON.stringify(opened.error));
    const { journal, recovered } = opened.value;
    const clock = fakeClock({ wall: Date.now() as Instant });
    const recorder = await startRecorder({
      ...signing,
      journal,
      clock,
      strangers: strangers({ clock, recordsPerWindow: 0, bytesMax: 0, isShipped: () => true }),
      random: randomBytes,
      previous: recovered.last === null ? null : (stateAfter(recovered.last.line) ?? null),
      checkpointRecords: 6,
      checkpointIntervalMs: 10_000,
      onRecord: () => undefined,
    });
    return { journal, recovered, recorder };
  };

  /** Ships what is durable and acknowledges it, as the collector does. */
  const ship = async (journal: Journal, collected: Collected): Promise<void> => {
    let last: { stream: StreamId; seq: number } | undefined;
    for (let after = 0; ;) {
      const records = journal.unshipped({ after, bytesMax: 100_000 });
      if (records.length === 0) break;
      for (const { stream, seq, line } of records) {
        collect(collected, stream, { seq, line });
        last = { stream, seq };
      }
      after = records.at(-1)!.cursor;
    }
    if (last !== undefined) await journal.acknowledged(last.stream, last.seq);
  };
  const collect = (collected: Collected, stream: StreamId, { seq, line }: { seq: number; line: Uint8Array }): void => {
    const lines = collected.get(stream) ?? [];
    collected.set(stream, lines);
    const held = lines[seq - 1];
    if (held === undefined) {
      expect([stream, seq]).toEqual([stream, lines.length + 1]);
      lines.push(line);
      return;
    }
    // The same place a second time must be the same bytes: anything else is a fork.
    expect(Buffer.from(line).equals(held)).toBe(true);
  };

  it('keeps every record that was acknowledged, in one chain over the restart', async () => {
    let onDisk: string[] = [];
    let collected: Collected = new Map();
    let segmentsRemoved = false;
    const story = async (fs: FileSystem): Promise<void> => {
      const { journal, recorder } = await open(fs);
      for (let call = 0; call < 12; call++) {
        const id = `call-${call}`;
        const durability = call % 3 === 0 ? 'kernel' : 'disk';
        const reservation = { kind: 'reservation' as const, bytes: utf8(`{"v":1,"attempts":[],"id":"${id}"}`) };
        await recorder.decision(decision(id), { durability, frames: [reservation] });
        if (durability === 'disk') onDisk.push(id);
        await recorder.outcome(outcome(id), { frames: [] });
        if (call % 4 === 3) await ship(journal, collected);
      }
      segmentsRemoved ||= journal.status.firstSequence > 1;
      await recorder.close('drain');
      onDisk.push('CLOSE');
      await journal.close();
    };
    const moments = await everyPowerLoss({
      prepare: () => {
        onDisk = [];
        collected = new Map();
      },
      run: story,
      async check(fs, { name }) {
        const { journal, recovered, recorder } = await open(fs).catch((error: unknown) => {
          throw new Error(`${name}: ${String(error)}`);
        });
        // What was acknowledged, and nothing that the collector does not know was let go.
        expect([name, recovered.last === null && collected.size > 0]).toEqual([name, false]);
        await recorder.decision(decision('after'), { durability: 'disk', frames: [] });
        await recorder.close('drain');
        await ship(journal, collected);
        const lines = [...collected.values()].flat();
        const text = lines.map((line) => Buffer.from(line).toString()).join('\n');
        for (const id of onDisk) expect([name, id, text.includes(id === 'CLOSE' ? '"CLOSE"' : `"${id}"`)]).toEqual([name, id, true]);
        const report = verifyExport(lines, { roots, trustDomain: 'test.sallyport.dev', manifest: 'optional' });
        expect([name, report.summary, report.isSound]).toEqual([name, report.summary, true]);
        await journal.close();
      },
    });
    expect(moments).toBeGreaterThan(200);
    expect(segmentsRemoved).toBe(true);
  });
});

function decision(id: string): DecisionBody {
  return {
    kind: 'DECISION',
    decision_id: id,
    request_id: id,
    leg: 'outbound',
    dialect: 'http-tool',
    action: 'tool_call',
    agent_id: 'support-triage',
    operator: 'alice@company.com',
    user_id: 'alice@company.com',
    tenant_id: 'acme',
    session_id: 'session-1',
    case: '-',
    tool: 'orders/get_order',
    tool_effect: 'read',
    decision: 'allow',
    code: '-',
    gate: 'authorization',
    rule_id: 'read-orders',
    release_seq: 1,
    policy_digest: null,
    freshness_seq: 1,
    policy_age_ms: 10,
    latency_ms: 1,
    detail: null,
  };
}

function outcome(id: string): OutcomeBody {
  return { kind: 'OUTCOME', decision_id: id, result: 'ok', upstream_status: 200, code: '-', latency_ms: 5, bytes: 12 };
}
