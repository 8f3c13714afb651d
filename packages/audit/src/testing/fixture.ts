/** Streams and exports for tests, with real keys and certificates. Used by tests only. */

import { createCa, generateKey, issueCertificate, randomBytes, signerFromPem } from '@sallyport/crypto/keys';
import type { CertificateAuthority, LocalSigner } from '@sallyport/crypto/keys';
import { encodeBase64 } from '@sallyport/crypto';
import type { Instant, StreamId } from '@sallyport/model';
import { appendRecord, headHex, openStream } from '../chain.ts';
import type { ChainState } from '../chain.ts';
import { signCheckpoint } from '../checkpoint.ts';
import { exportWriter } from '../export.ts';
import type { DecisionBody, OutcomeBody, RecordBody, StreamEnd } from '../record.ts';
import type { VerifyOptions } from '../verify.ts';

export const TRUST_DOMAIN = 'prod.example';
export const START_AT = Date.UTC(2026, 10, 20, 12) as Instant;
const HOUR_MS = 3_600_000;

/** An audit key with its certificate. */
export interface Holder {
  readonly id: string;
  readonly signer: LocalSigner;
  readonly certificate: Uint8Array;
}

export interface Fixture {
  readonly ca: CertificateAuthority;
  readonly options: VerifyOptions;
  /** An audit key for a path, certified for the hour from `START_AT` unless said otherwise. */
  holder(path: string, life?: { notBefore?: number; notAfter?: number; usage?: 'audit' | 'tls-client' }): Promise<Holder>;
}

export async function fixture(): Promise<Fixture> {
  const ca = await createCa({
    trustDomain: TRUST_DOMAIN,
    privatePem: generateKey('es256').privatePem,
    notBefore: START_AT - 24 * HOUR_MS,
    notAfter: START_AT + 24 * HOUR_MS,
  });
  return {
    ca,
    options: { roots: [{ certificate: ca.certificate, prefixes: ['/control-plane', '/sidecar/'] }], trustDomain: TRUST_DOMAIN },
    async holder(path, { notBefore = START_AT, notAfter = START_AT + HOUR_MS, usage = 'audit' } = {}) {
      const signer = signerFromPem(generateKey('ed25519').privatePem);
      const id = `spiffe://${TRUST_DOMAIN}${path}`;
      const subjectPublicKey = { alg: 'ed25519', raw: signer.publicRaw } as const;
      const certificate = await issueCertificate({
        ca,
        subjectPublicKey,
        spiffeId: id,
        usage,
        notBefore,
        notAfter,
        serial: randomBytes(16),
      });
      return { id, signer, certificate };
    },
  };
}

export function decision(id: string, more: Partial<DecisionBody> = {}): DecisionBody {
  return {
    kind: 'DECISION',
    decision_id: id,
    request_id: `req-${id}`,
    leg: 'outbound',
    dialect: 'mcp',
    action: 'tools/call',
    agent_id: 'support-triage',
    operator: 'alice@company.com',
    user_id: 'alice@company.com',
    tenant_id: 't1',
    session_id: 's-1',
    case: 'T-7',
    tool: 'zendesk/get_ticket',
    tool_effect: 'read',
    decision: 'allow',
    code: '-',
    gate: 'authorization',
    rule_id: 'read-own-ticket',
    release_seq: 7,
    policy_digest: `sha256:${'5'.repeat(64)}`,
    freshness_seq: 91,
    policy_age_ms: 1200,
    latency_ms: 1,
    detail: null,
    ...more,
  };
}

export function outcome(id: string, more: Partial<OutcomeBody> = {}): OutcomeBody {
  return { kind: 'OUTCOME', decision_id: id, result: 'ok', upstream_status: 200, code: '-', latency_ms: 12.5, bytes: 411, ...more };
}

/** Writes one stream, a second between records. */
export class StreamBuilder {
  readonly lines: Uint8Array[] = [];
  readonly stream: StreamId;
  holder: Holder;
  state: ChainState;
  at: number;

  constructor(letter: string, holder: Holder, at: number = START_AT) {
    this.stream = letter.repeat(32) as StreamId;
    this.holder = holder;
    this.state = openStream({ stream: this.stream, previous: null });
    this.at = at;
  }

  get end(): StreamEnd {
    return { stream: this.stream, seq: this.state.seq, head: headHex(this.state) };
  }

  start(previous: StreamBuilder | null = null, more: { sidecar?: string; previous?: StreamEnd } = {}): this {
    this.state = openStream({ stream: this.stream, previous: previous?.state ?? null });
    return this.add({
      kind: 'START',
      sidecar: more.sidecar ?? this.holder.id,
      agent: 'support-triage',
      instance: 'pod-1',
      build: '0.1.0',
      certificates: [encodeBase64(this.holder.certificate)],
      previous: more.previous ?? previous?.end ?? null,
    });
  }

  add(body: RecordBody): this {
    const next = appendRecord(this.state, (this.at += 1000) as Instant, body);
    this.lines.push(next.line);
    this.state = next.state;
    return this;
  }

  /** A decision and its outcome. */
  call(id: string): this {
    return this.add(decision(id)).add(outcome(id));
  }

  /** Signs the head that stands now, or an earlier one. */
  async checkpoint(state: ChainState = this.state, more: { at?: number; sidecar?: string; signer?: LocalSigner } = {}): Promise<this> {
    const { at = this.at, sidecar = this.holder.id, signer = this.holder.signer } = more;
    const envelope = await signCheckpoint(state, { at: at as Instant, sidecar, signer });
    return this.add({ kind: 'CHECKPOINT', envelope });
  }

  async close(): Promise<this> {
    const envelope = await signCheckpoint(this.state, { at: this.at as Instant, sidecar: this.holder.id, signer: this.holder.signer });
    return this.add({ kind: 'CLOSE', reason: 'drained', envelope });
  }
}

/** The lines with the manifest that the control plane would add. */
export async function exportOf(lines: readonly Uint8Array[], controlPlane: Holder, at: number = START_AT): Promise<Uint8Array[]> {
  const writer = exportWriter();
  for (const line of lines) writer.add(line);
  const { id, signer, certificate } = controlPlane;
  return [...lines, await writer.finish({ at: at as Instant, exporter: id, signer, certificates: [certificate] })];
}

/** One file: every line with its line feed. */
export function fileOf(lines: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(lines.flatMap((line) => [...line, 0x0a]));
}

export function textOf(line: Uint8Array | undefined): string {
  return new TextDecoder().decode(line);
}

export function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
