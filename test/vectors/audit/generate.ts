/**
 * Writes the audit vectors. Audit keys come from a fixed seed; their certificates are in `certificates.json`, because an ECDSA
 * signature comes out different each time and the CA that made them is gone.
 *
 *   node --conditions=sallyport-src test/vectors/audit/generate.ts            rewrite the vectors
 *   node --conditions=sallyport-src test/vectors/audit/generate.ts new-ca     certify the keys by another CA first
 *
 * `audit.test.ts` compares what `build` returns with the committed files, byte for byte.
 */

import { readFileSync, writeFileSync } from 'node:fs';
import { appendRecord, encodeRecord, exportWriter, headHex, joinCalls, openStream, readRecord, signCheckpoint } from '@sallyport/audit';
import type { ChainState, DecisionBody, OutcomeBody, RecordBody } from '@sallyport/audit';
import { decodeBase64, decodeHex, encodeBase64, sha256, utf8 } from '@sallyport/crypto';
import { createCa, generateKey, issueCertificate, randomBytes, signerFromPem } from '@sallyport/crypto/keys';
import type { LocalSigner } from '@sallyport/crypto/keys';
import type { Instant, StreamId } from '@sallyport/model';

/** Who holds an audit key of the vectors. */
type HolderName = 'sidecar' | 'neighbour' | 'control_plane';

interface Holder {
  readonly id: string;
  /** DER, base64. */
  readonly certificate: string;
}

export interface Certificates {
  readonly description: string;
  readonly trust_domain: string;
  readonly ca_certificate: string;
  readonly prefixes: readonly string[];
  readonly holders: Readonly<Record<HolderName, Holder>>;
}

/** A change to the lines of `export.ndjson`, applied in order. Lines count from 1, as they stand before the change. */
export type Edit =
  | { readonly op: 'replace'; readonly line: number; readonly from: string; readonly to: string }
  | { readonly op: 'delete'; readonly line: number; readonly count: number }
  | { readonly op: 'move'; readonly line: number; readonly before: number }
  | { readonly op: 'copy'; readonly line: number; readonly before: number };

export interface Files {
  readonly 'records.json': string;
  readonly 'chain.json': string;
  readonly 'export.ndjson': string;
  readonly 'exports.json': string;
  readonly 'calls.json': string;
}

const TRUST_DOMAIN = 'vectors.example';
const BEGIN = Date.UTC(2026, 10, 20, 12) as Instant;
const HOUR_MS = 3_600_000;

const at = (second: number): Instant => (BEGIN + second * 1000) as Instant;
const stream = (letter: string): StreamId => letter.repeat(32) as StreamId;
const text = (line: Uint8Array): string => new TextDecoder().decode(line);
/** PKCS#8 of an Ed25519 key up to its 32 bytes (RFC 8410 section 7). */
const PKCS8_HEAD = '302e020100300506032b657004220420';

/** The key of a holder: the same on every machine, and no secret. */
function signerOf(name: HolderName): LocalSigner {
  const seed = sha256(utf8(`sallyport audit vectors v1: ${name}`));
  const der = Uint8Array.of(...(decodeHex(PKCS8_HEAD) ?? []), ...seed);
  return signerFromPem(`-----BEGIN PRIVATE KEY-----\n${encodeBase64(der)}\n-----END PRIVATE KEY-----\n`);
}

const json = (value: object): string => `${JSON.stringify(value, undefined, 2)}\n`;

/** All vectors, from the certificates. Deterministic: Ed25519 signs the same bytes to the same signature. */
export async function build(certificates: Certificates): Promise<Files> {
  const lines = await exportLines(certificates);
  return {
    'records.json': json({
      description: 'Record bodies, where they stand, and the exact line that is written (sections 2 and 3).',
      records: records(),
    }),
    'chain.json': json({ description: 'Lines of a stream and the head after each of them (section 4).', chains: chains(lines) }),
    'export.ndjson': `${lines.join('\n')}\n`,
    'exports.json': json({
      description: 'Edits of export.ndjson, and the first bad record that a verifier names (section 9).',
      exports: EXPORTS,
    }),
    'calls.json': json({
      description: 'The calls of export.ndjson, one event each, in the order in which they complete (section 8).',
      calls: calls(lines),
    }),
  };
}

const DECISION: DecisionBody = {
  kind: 'DECISION',
  decision_id: '01JD4Z0000000000000000D001',
  request_id: '01JD4Z0000000000000000R001',
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
  latency_ms: 0.75,
  detail: null,
};
const OUTCOME: OutcomeBody = {
  kind: 'OUTCOME',
  decision_id: DECISION.decision_id,
  result: 'ok',
  upstream_status: 200,
  code: '-',
  latency_ms: 12.5,
  bytes: 411,
};
const END = { stream: stream('b'), seq: 3, head: '1'.repeat(64) };
const ENVELOPE = {
  payloadType: 'application/vnd.sallyport.checkpoint.v1+json',
  payload: 'e30=',
  signatures: [{ keyid: '0'.repeat(32), sig: 'AAAA' }],
};

function records(): object[] {
  const place = { stream: stream('a'), seq: 7, prev: '0'.repeat(64), at: BEGIN };
  const bodies: readonly (readonly [string, RecordBody])[] = [
    [
      'start',
      {
        kind: 'START',
        sidecar: `spiffe://${TRUST_DOMAIN}/sidecar/a/b`,
        agent: 'a',
        instance: 'b',
        build: '1',
        certificates: ['AAAA'],
        previous: END,
      },
    ],
    ['first start', { kind: 'START', sidecar: '', agent: 'a', instance: 'b', build: '1', certificates: ['AAAA'], previous: null }],
    ['decision', DECISION],
    ['denial', { ...DECISION, decision: 'deny', code: 'no_matching_policy', rule_id: 'default-deny', detail: 'no rule allows `x`' }],
    ['decision of nobody known', { ...DECISION, operator: '', user_id: '', tenant_id: '', release_seq: null, policy_digest: null }],
    ['text that needs escapes', { ...DECISION, tool: 'a"b\\c\n\u0000\u2028é😀', detail: '\ud800' }],
    ['text that is too long', { ...DECISION, tool: 'x'.repeat(300), detail: 'é'.repeat(1100) }],
    ['outcome', OUTCOME],
    [
      'active',
      {
        kind: 'ACTIVE',
        area: 'default',
        ring: 'stable',
        release_seq: 2,
        previous_release_seq: 1,
        policy_digest: 'sha256:00',
        freshness_seq: 4,
        revocation_seq: 0,
      },
    ],
    ['state', { kind: 'STATE', state: 'stale', release_seq: 2, freshness_seq: 4, policy_age_ms: 301_000 }],
    ['refused', { kind: 'REFUSED', code: 'unauthenticated', source: '10.0.0.1', count: 400, samples: ['GET /', 'POST /x'] }],
    ['dropped', { kind: 'DROPPED', reason: 'sampled', count: 12 }],
    ['alert', { kind: 'ALERT', code: 'UNCLOSED', subject: END, detail: 'no CLOSE' }],
    [
      'act',
      {
        kind: 'ACT',
        actor: `spiffe://${TRUST_DOMAIN}/admin/bob`,
        act: 'promote',
        object: 'release 8',
        old_digest: 'sha256:00',
        new_digest: 'sha256:11',
        area: 'default',
        ring: 'stable',
        release_seq: 8,
      },
    ],
    ['certificate', { kind: 'CERTIFICATE', certificates: ['AAAA', 'AAEC'] }],
    ['checkpoint', { kind: 'CHECKPOINT', envelope: ENVELOPE }],
    ['close', { kind: 'CLOSE', reason: 'drained', envelope: ENVELOPE }],
  ];
  return bodies.map(([name, body]) => ({
    name,
    place: { ...place, at: new Date(place.at).toISOString() },
    body,
    line: text(encodeRecord(place, body)),
  }));
}

/** One stream being written. */
class Writer {
  readonly lines: string[] = [];
  readonly #id: string;
  readonly #signer: LocalSigner;
  state: ChainState;
  #second: number;

  constructor(
    letter: string,
    { id, signer, certificate }: Holder & { readonly signer: LocalSigner },
    options: { readonly second: number; readonly previous: ChainState | null },
  ) {
    this.#id = id;
    this.#signer = signer;
    this.#second = options.second;
    this.state = openStream({ stream: stream(letter), previous: options.previous });
    const previous =
      options.previous === null ? null : { stream: options.previous.stream, seq: options.previous.seq, head: headHex(options.previous) };
    const [agent = '', instance = ''] = id.split('/').slice(-2);
    this.add({ kind: 'START', sidecar: id, agent, instance, build: '0.1.0', certificates: [certificate], previous });
  }

  add(body: RecordBody): this {
    const next = appendRecord(this.state, at(this.#second++), body);
    this.lines.push(text(next.line));
    this.state = next.state;
    return this;
  }

  call(number: number, more: Partial<DecisionBody> = {}): this {
    const id = `01JD4Z0000000000000000D${String(number).padStart(3, '0')}`;
    this.add({ ...DECISION, decision_id: id, request_id: id.replace('D', 'R'), ...more });
    return more.decision === 'deny' ? this : this.add({ ...OUTCOME, decision_id: id });
  }

  async sign(kind: 'CHECKPOINT' | 'CLOSE'): Promise<this> {
    const envelope = await signCheckpoint(this.state, { at: at(this.#second), sidecar: this.#id, signer: this.#signer });
    return this.add(kind === 'CLOSE' ? { kind, reason: 'drained', envelope } : { kind, envelope });
  }
}

const DENIAL = { decision: 'deny', code: 'no_matching_policy', rule_id: 'default-deny' } as const;

/** Two starts of one sidecar, the second unclosed, and a neighbour between them; then the manifest. */
async function exportLines({ holders }: Certificates): Promise<string[]> {
  const as = (name: HolderName): Holder & { readonly signer: LocalSigner } => ({ ...holders[name], signer: signerOf(name) });
  const first = new Writer('a', as('sidecar'), { second: 0, previous: null }).call(1).call(2, DENIAL);
  await first.sign('CHECKPOINT');
  await first.call(3).sign('CLOSE');
  const neighbour = new Writer('c', as('neighbour'), { second: 100, previous: null }).call(4);
  await neighbour.sign('CLOSE');
  const second = new Writer('b', as('sidecar'), { second: 200, previous: first.state }).call(5);
  await second.sign('CHECKPOINT');
  second.add({ ...DECISION, decision_id: '01JD4Z0000000000000000D006' });
  const lines = [
    ...first.lines,
    ...neighbour.lines.slice(0, 2),
    ...second.lines.slice(0, 3),
    ...neighbour.lines.slice(2),
    ...second.lines.slice(3),
  ];
  const writer = exportWriter();
  for (const line of lines) writer.add(new TextEncoder().encode(line));
  const { id, signer, certificate } = as('control_plane');
  const manifest = await writer.finish({
    at: at(1000),
    exporter: id,
    signer,
    certificates: [decodeBase64(certificate) ?? new Uint8Array()],
  });
  return [...lines, text(manifest)];
}

function chains(lines: readonly string[]): object[] {
  const parsed = lines.slice(0, -1).map((line) => ({ line, ...(JSON.parse(line) as { stream: StreamId; prev: string }) }));
  return ['a', 'b', 'c'].map((letter) => {
    const own = parsed.filter((line) => line.stream === stream(letter));
    const heads = own.slice(1).map(({ prev }) => prev);
    const last = (JSON.parse(lines.at(-1) ?? '') as { envelope: { payload: string } }).envelope.payload;
    const ends = (JSON.parse(text(decodeBase64(last) ?? new Uint8Array())) as { streams: { stream: string; head: string }[] }).streams;
    return {
      stream: stream(letter),
      head_before: own[0]?.prev,
      lines: own.map(({ line }) => line),
      heads: [...heads, ends.find((end) => end.stream === stream(letter))?.head],
    };
  });
}

const EXPORTS: readonly { readonly name: string; readonly edits: readonly Edit[]; readonly expect: object }[] = [
  { name: 'as exported', edits: [], expect: { is_sound: true } },
  bad('one character of a decision', [{ op: 'replace', line: 2, from: '"decision":"allow"', to: '"decision":"allox"' }], {
    reason: 'edited',
    line: 2,
    stream: 'a',
    seq: 2,
    decision_id: '01JD4Z0000000000000000D001',
  }),
  bad('the hash that a record names', [{ op: 'replace', line: 3, from: '"prev":"', to: '"prev":"0' }], {
    reason: 'unreadable',
    line: 3,
    stream: 'a',
    seq: 3,
    decision_id: '01JD4Z0000000000000000D001',
  }),
  bad('a place', [{ op: 'replace', line: 3, from: '"seq":3', to: '"seq":9' }], {
    reason: 'edited',
    line: 3,
    stream: 'a',
    seq: 3,
    decision_id: '01JD4Z0000000000000000D001',
  }),
  bad('a stream', [{ op: 'replace', line: 3, from: '"stream":"a', to: '"stream":"b' }], {
    reason: 'edited',
    line: 3,
    stream: 'a',
    seq: 3,
    decision_id: '01JD4Z0000000000000000D001',
  }),
  bad('a record left out', [{ op: 'delete', line: 4, count: 1 }], { reason: 'deleted', line: 4, stream: 'a', seq: 4 }),
  bad('a START left out', [{ op: 'delete', line: 1, count: 1 }], { reason: 'deleted', line: 1, stream: 'a', seq: 1 }),
  bad('a stream left out', [{ op: 'delete', line: 1, count: 8 }], { reason: 'deleted', line: 10, stream: 'a', seq: 1 }),
  bad('two records exchanged', [{ op: 'move', line: 3, before: 2 }], { reason: 'reordered', line: 2, stream: 'a', seq: 2 }),
  bad('a record twice', [{ op: 'copy', line: 4, before: 5 }], {
    reason: 'inserted',
    line: 5,
    stream: 'a',
    seq: 4,
    decision_id: '01JD4Z0000000000000000D002',
  }),
  bad('a CLOSE left out, with another start behind it', [{ op: 'delete', line: 8, count: 1 }], {
    reason: 'truncated',
    line: 17,
    stream: 'a',
    seq: 8,
  }),
  bad('the last record left out', [{ op: 'delete', line: 17, count: 1 }], { reason: 'truncated', line: 17, stream: 'b', seq: 5 }),
  bad('the manifest left out', [{ op: 'delete', line: 18, count: 1 }], { reason: 'truncated', line: 17, stream: null, seq: null }),
  bad('a signature', [{ op: 'replace', line: 5, from: '"sig":"', to: '"sig":"AAAA' }], {
    reason: 'forged_signature',
    line: 5,
    stream: 'a',
    seq: 5,
  }),
  bad('the key that a signature names', [{ op: 'replace', line: 18, from: '"keyid":"', to: '"keyid":"0' }], {
    reason: 'forged_signature',
    line: 18,
    stream: null,
    seq: null,
  }),
  bad('a space in the manifest', [{ op: 'replace', line: 18, from: ',"envelope"', to: ', "envelope"' }], {
    reason: 'edited',
    line: 18,
    stream: null,
    seq: null,
  }),
];

function bad(
  name: string,
  edits: readonly Edit[],
  expect: { reason: string; line: number; stream: string | null; seq: number | null; decision_id?: string },
): (typeof EXPORTS)[number] {
  const of = expect.stream === null ? null : stream(expect.stream);
  return { name, edits, expect: { is_sound: false, ...expect, stream: of, decision_id: expect.decision_id ?? null } };
}

function calls(lines: readonly string[]): object[] {
  const joiner = joinCalls({ waitingMax: 100 });
  const events = lines.slice(0, -1).flatMap((line) => {
    const record = readRecord(new TextEncoder().encode(line));
    return record.ok ? joiner.add(record.value) : [];
  });
  return [...events, ...joiner.end()];
}

async function newCertificates(): Promise<Certificates> {
  const life = { notBefore: BEGIN - HOUR_MS, notAfter: BEGIN + 24 * HOUR_MS };
  const ca = await createCa({ trustDomain: TRUST_DOMAIN, privatePem: generateKey('es256').privatePem, ...life });
  const holder = async (name: HolderName, path: string): Promise<Holder> => {
    const id = `spiffe://${TRUST_DOMAIN}${path}`;
    const subjectPublicKey = { alg: 'ed25519', raw: signerOf(name).publicRaw } as const;
    const [notBefore, notAfter] = [BEGIN, BEGIN + HOUR_MS];
    const certificate = await issueCertificate({
      ca,
      subjectPublicKey,
      spiffeId: id,
      usage: 'audit',
      notBefore,
      notAfter,
      serial: randomBytes(16),
    });
    return { id, certificate: encodeBase64(certificate) };
  };
  return {
    description: 'Certificates (DER, base64) of the audit keys that sign export.ndjson, and of the CA above them.',
    trust_domain: TRUST_DOMAIN,
    ca_certificate: encodeBase64(ca.certificate),
    prefixes: ['/control-plane', '/sidecar/'],
    holders: {
      sidecar: await holder('sidecar', '/sidecar/support-triage/pod-1'),
      neighbour: await holder('neighbour', '/sidecar/expense-report/pod-2'),
      control_plane: await holder('control_plane', '/control-plane'),
    },
  };
}

if (import.meta.main) {
  const here = (name: string): URL => new URL(name, import.meta.url);
  if (process.argv.includes('new-ca')) writeFileSync(here('certificates.json'), json(await newCertificates()));
  const files = await build(JSON.parse(readFileSync(here('certificates.json'), 'utf8')) as Certificates);
  for (const [name, content] of Object.entries(files)) writeFileSync(here(name), content as string);
}
