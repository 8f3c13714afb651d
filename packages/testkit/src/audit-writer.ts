/**
 * A sidecar's audit stream without a sidecar: lines chained and signed like real ones, and whatever a forger or a broken
 * disk would make of them. It writes what it is told; nothing is checked.
 */

import { appendRecord, headHex, openStream, signCheckpoint } from '@sallyport/audit';
import type { ChainState, DecisionBody, OutcomeBody, RecordBody, StreamEnd } from '@sallyport/audit';
import { encodeBase64, encodeHex } from '@sallyport/crypto';
import { randomBytes, signerFromPem } from '@sallyport/crypto/keys';
import type { Instant, StreamId } from '@sallyport/model';

export interface AuditWriterOptions {
  /** SPIFFE id that the START names. */
  readonly sidecar: string;
  readonly auditPem: string;
  /** DER, leaf first. */
  readonly auditChain: readonly Uint8Array[];
  /** Where the last stream of this writer ended. */
  readonly previous?: Pick<AuditWriter, 'chain' | 'end'>;
  readonly now: () => Instant;
}

export interface AuditWriter {
  readonly stream: StreamId;
  /** Every line so far; the first has seq 1. */
  readonly lines: readonly Uint8Array[];
  readonly end: StreamEnd;
  readonly chain: ChainState;
  write(body: RecordBody): Uint8Array;
  /** A DECISION and, for an allow, its OUTCOME; the decision's id. */
  call(of?: Partial<DecisionBody>, outcome?: Partial<OutcomeBody> | null): string;
  checkpoint(): Promise<Uint8Array>;
  close(): Promise<Uint8Array>;
}

/** A stream that has its START. */
export function auditWriter(options: AuditWriterOptions): AuditWriter {
  const { sidecar, previous, now } = options;
  const signer = signerFromPem(options.auditPem);
  const stream = encodeHex(randomBytes(16)) as StreamId;
  const lines: Uint8Array[] = [];
  let chain = openStream({ stream, previous: previous?.chain ?? null });
  const write = (body: RecordBody): Uint8Array => {
    const appended = appendRecord(chain, now(), body);
    chain = appended.state;
    lines.push(appended.line);
    return appended.line;
  };
  const sign = async (): ReturnType<typeof signCheckpoint> => signCheckpoint(chain, { at: now(), sidecar, signer });
  const [, , , , agent = '-', instance = '-'] = sidecar.split('/');
  write({
    kind: 'START',
    sidecar,
    agent,
    instance,
    build: 'test/1',
    certificates: options.auditChain.map(encodeBase64),
    previous: previous?.end ?? null,
  });
  return {
    stream,
    lines,
    write,
    get chain() {
      return chain;
    },
    get end() {
      return { stream, seq: chain.seq, head: headHex(chain) };
    },
    call(of = {}, outcome = {}) {
      const id = encodeHex(randomBytes(13));
      const decision = { ...ALLOWED, decision_id: id, request_id: id, agent_id: agent, ...of };
      write(decision);
      if (decision.decision === 'allow' && outcome !== null) write({ ...SUCCEEDED, decision_id: id, ...outcome });
      return id;
    },
    checkpoint: async () => write({ kind: 'CHECKPOINT', envelope: await sign() }),
    close: async () => write({ kind: 'CLOSE', reason: 'drained', envelope: await sign() }),
  };
}

const ALLOWED = {
  kind: 'DECISION',
  leg: 'outbound',
  dialect: 'http-tool',
  action: 'tool_call',
  operator: 'alice@company.com',
  user_id: 'alice@company.com',
  tenant_id: 'acme',
  session_id: 'session-1',
  case: 'T-1',
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
} as const;

const SUCCEEDED = { kind: 'OUTCOME', result: 'ok', upstream_status: 200, code: '-', latency_ms: 5, bytes: 12 } as const;
