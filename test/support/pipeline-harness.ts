/**
 * The pipeline between real ends: a real listener, real upstreams, a policy compiled from YAML, real tokens. Only the
 * bundle's delivery and the journal's disk are left out (a snapshot in memory, records in a list), and time is fake.
 */

import { generateKey, randomBytes, signerFromPem } from '@sallyport/crypto/keys';
import { operatorTokens, replayMemory, sessionTokens } from '@sallyport/credentials';
import type { DecisionBody, OutcomeBody } from '@sallyport/audit';
import { formatSpiffeId, type SessionEpoch } from '@sallyport/identity';
import type { AgentName, DecisionId, Digest, ReleaseSeq, RequestId } from '@sallyport/model';
import { createUpstreams, startHttpListener, type UpstreamLimits } from '@sallyport/net';
import { buildParts, compile, parseDocuments, readParts } from '@sallyport/policy';
import { bytesAccount, parseListenAddress, systemClock, ulids } from '@sallyport/runtime';
import { memoryReservations } from '@sallyport/store';
import { fakeClock, testAuthority, tokenIssuer, type FakeClock, type TokenIssuer } from '@sallyport/testkit';
import { request as httpRequest } from 'node:http';
import { snapshotOf } from '../../packages/sidecar/src/bundle/snapshot.ts';
import { noAgentCredential } from '../../packages/sidecar/src/downstream/agent-credential.ts';
import { envelopes } from '../../packages/sidecar/src/downstream/envelopes.ts';
import { servedExchange } from '../../packages/sidecar/src/downstream/served.ts';
import type { Arrival } from '../../packages/sidecar/src/pipeline/facts.ts';
import type { Answer } from '../../packages/sidecar/src/pipeline/gate.ts';
import { createLeases } from '../../packages/sidecar/src/pipeline/leases.ts';
import { answerRequest, judgeLease } from '../../packages/sidecar/src/pipeline/pipeline.ts';
import type { Held, Ports, Revocations, Snapshot } from '../../packages/sidecar/src/pipeline/ports.ts';
import { judgeStream } from '../../packages/sidecar/src/pipeline/mcp-answers.ts';
import { sessionsServed } from '../../packages/sidecar/src/sessions/sessions-served.ts';
import { jobStarts } from '../../packages/sidecar/src/sessions/job-starts.ts';
import { mcpSessions } from '../../packages/sidecar/src/sessions/mcp-sessions.ts';
import { mcpStreams } from '../../packages/sidecar/src/sessions/mcp-streams.ts';
import { sessionRegistry } from '../../packages/sidecar/src/sessions/registry.ts';
import { assertions } from '../../packages/sidecar/src/upstream/assertions.ts';
import type { ForwardLimits } from '../../packages/sidecar/src/upstream/forward-options.ts';
import { NOTHING_CARRIED, type Credentials } from '../../packages/sidecar/src/secrets/credentials.ts';
import { requestSigners } from '../../packages/sidecar/src/upstream/request-signing.ts';
import { delegationRoom } from '../../packages/sidecar/src/delegation/delegations.ts';
import { forwardUpstream } from '../../packages/sidecar/src/upstream/forward.ts';

/** The policies of these tests name no credential. */
const NO_SECRETS: Credentials = {
  of: () => NOTHING_CARRIED,
  look: async () => {},
  stateOf: () => ({ isUsable: false, confirmedMsAgo: undefined, madeAt: undefined, failure: undefined, uses: 0, lastUsedAt: undefined }),
};

export const AGENT = 'support-triage' as AgentName;
export const EPOCH = '00aa11bb22cc33dd' as SessionEpoch;

/** Of a call as a whole, on the harness's clock. */
export const CALL_MS_MAX = 600_000;

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  json(): Record<string, unknown>;
}

export interface Harness {
  readonly clock: FakeClock;
  readonly idp: TokenIssuer;
  readonly url: string;
  readonly port: number;
  readonly decisions: DecisionBody[];
  readonly outcomes: OutcomeBody[];
  readonly ports: Ports;
  readonly bugs: () => number;
  readonly account: ReturnType<typeof bytesAccount>;
  /** As for a sidecar whose control plane has certified no key for assertions. */
  takeAssertionsAway(): void;
  /** What the bundle says from now on; a stale or absent one, another release, revocations. */
  hold(change: (held: Held) => Held): void;
  publish(policyYaml: string): void;
  /** Makes the journal fail from now on. */
  breakJournal(error: Error | undefined): void;
  request(
    path: string,
    options?: { method?: string; body?: string | Uint8Array; headers?: Record<string, string | string[]> },
  ): Promise<HttpAnswer>;
  /** Opens a session with claims over the good ones; gives the `Sallyport-Session` token. */
  session(claims?: Record<string, unknown>): Promise<string>;
  /** A tool call over plain HTTP. */
  call(tool: string, args: unknown, session: string): Promise<HttpAnswer>;
  close(): Promise<void>;
}

export interface HarnessOptions {
  /** Replaces ports, given those that would be used. */
  readonly ports?: (ports: Ports) => Partial<Ports>;
  readonly upstream?: Partial<UpstreamLimits>;
  readonly forward?: Partial<ForwardLimits>;
  readonly sessionsMax?: number;
}

/** `yaml` may name `ISSUER` (the test identity provider's Issuer document is added). */
export async function pipelineHarness(yaml: string, options: HarnessOptions = {}): Promise<Harness> {
  const clock = fakeClock();
  const idp = tokenIssuer();
  let generation = 0;
  const none: Revocations = { seq: 0, denies: () => false };
  const compiled = (text: string): Snapshot => compileSnapshot(`${text}\n${issuerDocument(idp)}`, ++generation, none);
  let held: Held = freshHeld(compiled(yaml));
  let journalError: Error | undefined;
  const decisions: DecisionBody[] = [];
  const outcomes: OutcomeBody[] = [];
  const write = async (): Promise<void> => {
    if (journalError !== undefined) throw journalError;
  };
  const signer = signerFromPem(generateKey('ed25519').privatePem);
  const account = bytesAccount(8_000_000);
  const nextId = ulids({ clock, random: randomBytes });
  const upstreams = createUpstreams({ clock: systemClock(), limits: { firstByteMsMax: 500, idleMsMax: 500, ...options.upstream } });
  const limits = { answerBytesMax: 1_000_000, mcpSessionsMax: 16, handshakeMsMax: 60_000, ...options.forward };
  const asserting = assertions({ clock, random: randomBytes, keptMax: 100 });
  const { chain, privatePem } = await (await testAuthority('demo.local')).issue(`/sidecar/${AGENT}/1`, { usage: 'assertion' });
  const identity = {
    spiffeId: `spiffe://demo.local/sidecar/${AGENT}/1`,
    assertionChain: chain,
    assertionSigner: signerFromPem(privatePem),
  };
  asserting.use(identity);
  const delegations = delegationRoom(clock);
  const ways = {
    upstreams,
    credentials: NO_SECRETS,
    assertions: asserting,
    delegations,
    signers: requestSigners({ clock, random: randomBytes, signerOf: (assertion) => asserting.signerOf(assertion) }),
    serverTls: { ready: async () => undefined },
  };
  const upstream = forwardUpstream({ ...ways, account, clock: systemClock(), build: 'test', limits });
  let bugs = 0;
  const sidecar = formatSpiffeId({ trustDomain: 'test.local', purpose: { kind: 'sidecar', agent: AGENT, instance: 'one' } });
  const minting = { signer, sidecar, epoch: EPOCH, random: randomBytes };
  const base: Ports = {
    delegations,
    agent: AGENT,
    build: 'test',
    clock,
    limits: { requestBodyBytesMax: 100_000, headersBytesMax: 32_768, holdWhileSyncingMs: 0, rejudgementsMax: 3 },
    load: { isDraining: () => false },
    bytesInFlight: account,
    bundle: { read: () => held, whenFresh: async () => {} },
    sessionBinding: 'none',
    schemes: { inbound: 'https', outbound: 'http' },
    agentCredential: noAgentCredential(AGENT),
    isolation: { of: () => 'enforced' },
    operatorTokens: operatorTokens(),
    envelopes: envelopes(replayMemory({ startedAt: clock.wall() })),
    resourceMetadata: undefined,
    callers: { hasAny: () => false, choose: () => ({ ok: true, value: undefined }), unproven: account },
    sessionTokens: sessionTokens({ ...minting, leg: 'outbound' }),
    clientTokens: sessionTokens({ ...minting, leg: 'inbound' }),
    sessions: sessionRegistry({
      clock,
      random: randomBytes,
      epoch: EPOCH,
      sessionsMax: options.sessionsMax ?? 100,
      perPrincipalMax: 100,
      onOver: () => {},
    }),
    sessionsServed: sessionsServed(),
    jobStarts: jobStarts(clock),
    mcpSessions: mcpSessions({ random: randomBytes, sessionsMax: 4, onLast: (binding) => upstream.release(binding) }),
    mcpStreams: mcpStreams({
      clock,
      streamsMax: 4,
      judge: (stream) => judgeStream(stream, ports),
      revocationSeq: () => 0,
      isDraining: () => false,
    }),
    reservations: memoryReservations({ entriesMax: 1_000 }),
    recorder: {
      decision: async (body) => {
        await write();
        decisions.push(body);
      },
      outcome: async (body) => {
        await write();
        outcomes.push(body);
      },
      state: write,
    },
    upstream,
    leases: createLeases({
      clock,
      callMsMax: CALL_MS_MAX,
      bundle: { read: () => held },
      judge: (call, now) => judgeLease(call, now, ports),
    }),
    counters: {
      decision: () => {},
      observed: () => {},
      shadow: () => {},
      bug: () => bugs++,
      unrecorded: () => {},
      upstreamFailed: () => {},
    },
    ids: { request: () => nextId() as RequestId, decision: () => nextId() as DecisionId },
  };
  const ports: Ports = { ...base, ...options.ports?.(base) };
  const answer = (arrival: Arrival): Promise<Answer> => answerRequest(arrival, ports);
  const listen = parseListenAddress('127.0.0.1:0');
  if (listen === undefined) throw new Error('no address');
  const outbound = servedExchange({ leg: 'outbound', clock, account, sessionsServed: ports.sessionsServed, ids: ports.ids, answer });
  const listener = await startHttpListener({
    listen,
    clock: systemClock(),
    onExchange: outbound.exchange,
    onRefusal: () => {},
    onBug: (error) => {
      throw error;
    },
  });
  const { port } = listener.address as { port: number };

  const harness: Harness = {
    clock,
    idp,
    url: `http://127.0.0.1:${port}`,
    port,
    decisions,
    outcomes,
    ports,
    account,
    bugs: () => bugs,
    takeAssertionsAway: () => asserting.use({ ...identity, assertionChain: [] }),
    hold: (change) => {
      held = change(held);
    },
    publish: (text) => {
      held = freshHeld(compiled(text));
    },
    breakJournal: (error) => {
      journalError = error;
    },
    request: (path, { method = 'POST', body, headers = {} } = {}) =>
      new Promise((resolve, reject) => {
        const sent = httpRequest({ host: '127.0.0.1', port, path, method, headers, agent: false }, (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('error', reject);
          response.on('end', () => {
            const text = Buffer.concat(chunks).toString('utf8');
            resolve({
              status: response.statusCode ?? 0,
              headers: response.headers,
              text,
              json: () => JSON.parse(text) as Record<string, unknown>,
            });
          });
        });
        sent.on('error', reject);
        sent.end(body);
      }),
    session: async (claims = {}) => {
      const token = idp.mint(clock.wall(), { claims });
      const opened = await harness.request('/session', { headers: { authorization: `Bearer ${token}` } });
      if (opened.status !== 201) throw new Error(`no session: ${opened.status} ${opened.text}`);
      return opened.json()['token'] as string;
    },
    call: (tool, args, session) =>
      harness.request(`/tools/${tool}`, {
        body: JSON.stringify(args),
        headers: { 'content-type': 'application/json', 'sallyport-session': session },
      }),
    close: async () => {
      await upstream.close();
      upstreams.close();
      await listener.drain({ graceMs: 0 });
    },
  };
  return harness;
}

function freshHeld(snapshot: Snapshot): Held {
  return { state: 'fresh', snapshot, freshnessSeq: 1, ageMs: 10, freshForMs: 60_000 };
}

function compileSnapshot(yaml: string, generation: number, revocations: Revocations): Snapshot {
  const source = parseDocuments([{ path: 'policy.yaml', text: yaml }]);
  if (!source.ok) throw new Error(JSON.stringify(source.error, undefined, 1));
  const built = buildParts(source.value);
  if (!built.ok) throw new Error(JSON.stringify(built.error, undefined, 1));
  const parts = readParts(built.value.parts);
  if (!parts.ok) throw new Error(JSON.stringify(parts.error, undefined, 1));
  const policy = compile(parts.value);
  if (!policy.ok) throw new Error(JSON.stringify(policy.error, undefined, 1));
  return snapshotOf({
    generation,
    releaseSeq: generation as ReleaseSeq,
    policyDigest: `sha256:${String(generation).padStart(64, '0')}` as Digest,
    parts: parts.value,
    policy: policy.value,
    revocations,
    directory: { ageMs: Number.POSITIVE_INFINITY, find: () => undefined },
  });
}

/** The test identity provider as a policy document. */
export function issuerDocument(idp: TokenIssuer): string {
  const { kid, x, y } = idp.jwk;
  return `---
kind: Issuer
issuer: ${idp.issuer}
audience: ${idp.audience}
keys: [{ kid: ${kid}, kty: EC, crv: P-256, x: ${x}, y: ${y} }]
max_lifetime: 1h
claims: { subject: sub, tenant: tenant_id, roles: roles, scopes: scope, case: ticket_id }
`;
}
