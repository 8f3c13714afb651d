/** The evidence side for tests: a real journal on a simulated disk, a real recorder with a certified key, and its verification. */

import { verifyExport, type DecisionBody, type OutcomeBody, type RecordBody, type Report } from '@sallyport/audit';
import { encodeBase64, readVerifyKey, utf8 } from '@sallyport/crypto';
import { generateKey, issueCertificate, randomBytes, signerFromPem, type LocalSigner } from '@sallyport/crypto/keys';
import { invariant } from '@sallyport/model';
import { systemClock } from '@sallyport/runtime';
import { openJournal, type Journal, type JournalOptions, type Recovered } from '@sallyport/store';
import { fakeClock, simulatedDisk, testAuthority, type FakeClock, type SimulatedDisk } from '@sallyport/testkit';
import { startRecorder, type RecorderOptions, type StreamRecorder } from '../audit/recorder.ts';
import { strangers, type StrangersOptions } from '../audit/strangers.ts';

const TRUST_DOMAIN = 'test.sallyport.dev';
const SIDECAR = `spiffe://${TRUST_DOMAIN}/sidecar/support-triage/one`;
const FOLDER = '/state/journal';

export interface AuditSide {
  readonly disk: SimulatedDisk;
  readonly clock: FakeClock;
  readonly journal: Journal;
  readonly recovered: Recovered;
  readonly recorder: StreamRecorder;
  /** Bodies that were told to `onRecord`. */
  readonly told: RecordBody[];
  /** Lines that are durable and not acknowledged, parsed. */
  lines(): readonly Record<string, unknown>[];
  /** The verdict of an offline verification over those lines. */
  verify(): Report;
}

export interface AuditSideOptions {
  readonly disk?: SimulatedDisk;
  readonly clock?: FakeClock;
  readonly journal?: Partial<JournalOptions>;
  readonly recorder?: Partial<RecorderOptions>;
  readonly strangers?: Partial<StrangersOptions>;
}

interface Signing {
  readonly signer: LocalSigner;
  readonly certificates: readonly string[];
  readonly authority: Uint8Array;
}

/** Owner: `signing`. One key for all tests of a file: making certificates is what takes time. */
let made: Promise<Signing> | undefined;

/** A real audit key, certified as `/sidecar/support-triage/one`. */
export function auditSigning(): Promise<Signing> {
  made ??= (async () => {
    const { ca } = await testAuthority(TRUST_DOMAIN);
    const key = generateKey('ed25519');
    const subjectPublicKey = readVerifyKey('ed25519', key.publicRaw);
    invariant(subjectPublicKey !== undefined, 'a new key can be read');
    const now = Math.floor(systemClock().wall() / 1_000) * 1_000;
    const life = { notBefore: now - 86_400_000, notAfter: now + 86_400_000 };
    const leaf = await issueCertificate({ ca, subjectPublicKey, spiffeId: SIDECAR, usage: 'audit', serial: randomBytes(16), ...life });
    const certificates = [leaf, ca.certificate].map((der) => encodeBase64(der));
    return { signer: signerFromPem(key.privatePem), certificates, authority: ca.certificate };
  })();
  return made;
}

/** A journal, and a recorder that has begun its stream in it. */
export async function auditSide(options: AuditSideOptions = {}): Promise<AuditSide> {
  const disk = options.disk ?? simulatedDisk();
  const clock = options.clock ?? fakeClock({ wall: systemClock().wall() });
  const { signer, certificates, authority } = await auditSigning();
  const opened = await openJournal({
    disk: disk.fs,
    directory: FOLDER,
    segmentBytesMax: 16_384,
    logBytesMax: 1_048_576,
    headroomBytes: 16_384,
    snapshot: () => utf8('{"v":1,"attempts":[]}'),
    ...options.journal,
  });
  if (!opened.ok) throw new Error(JSON.stringify(opened.error));
  const { journal, recovered } = opened.value;
  const told: RecordBody[] = [];
  const recorder = await startRecorder({
    journal,
    clock,
    random: randomBytes,
    signer,
    start: { sidecar: SIDECAR, agent: 'support-triage', instance: 'one', build: 'test', certificates },
    previous: null,
    checkpointRecords: 1_000,
    checkpointIntervalMs: 10_000,
    onRecord: (body) => told.push(body),
    strangers: strangers({ clock, recordsPerWindow: 5, bytesMax: 100_000, isShipped: () => false, ...options.strangers }),
    ...options.recorder,
  });
  const held = (): readonly Uint8Array[] => {
    const lines: Uint8Array[] = [];
    for (let after = 0; ;) {
      const records = journal.unshipped({ after, bytesMax: 100_000 });
      if (records.length === 0) return lines;
      lines.push(...records.map(({ line }) => line));
      after = records.at(-1)?.cursor ?? after;
    }
  };
  return {
    disk,
    clock,
    journal,
    recovered,
    recorder,
    told,
    lines: () => held().map((line) => JSON.parse(Buffer.from(line).toString()) as Record<string, unknown>),
    verify: () =>
      verifyExport(held(), {
        roots: [{ certificate: authority, prefixes: ['/sidecar/'] }],
        trustDomain: TRUST_DOMAIN,
        manifest: 'optional',
      }),
  };
}

/** The DECISION of an allowed read. */
export function decisionBody(id: string, over: Partial<DecisionBody> = {}): DecisionBody {
  return {
    kind: 'DECISION',
    decision_id: id,
    request_id: id,
    leg: 'outbound',
    dialect: 'http-tool',
    action: 'tools/call',
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
    ...over,
  };
}

export function outcomeBody(id: string): OutcomeBody {
  return { kind: 'OUTCOME', decision_id: id, result: 'ok', upstream_status: 200, code: '-', latency_ms: 5, bytes: 12 };
}
