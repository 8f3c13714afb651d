/** Part of the composition root: the pipeline's ports, made from what `compose.ts` has opened. */

import {
  dpopProofs,
  keySets,
  operatorTokens,
  type KeySets,
  type SessionTokens,
  replayMemory,
  tokenIntrospection,
  type TokenIntrospection,
} from '@sallyport/credentials';
import { fromUtf8 } from '@sallyport/crypto';
import type { SessionEpoch } from '@sallyport/identity';
import { type Introspection, Fault, type AgentName, type Clock, type DecisionId, type Random, type RequestId } from '@sallyport/model';
import { createUpstreams, type Upstreams } from '@sallyport/net';
import { ulids, type BytesAccount, type Drain, type FileSystem } from '@sallyport/runtime';
import type { MemoryReservations } from '@sallyport/store';
import type { Log } from '@sallyport/telemetry';
import { callerDoor } from './callers/caller-door.ts';
import { callerSecrets, type CallerSecrets, type WithSecrets } from './callers/caller-secrets.ts';
import { floodBound } from './audit/flood-bound.ts';
import type { SidecarMetrics } from './admin/metrics.ts';
import type { SidecarConfig } from './config.ts';
import type { DelegationRoom } from './delegation/delegations.ts';
import { agentAuthentication } from './downstream/agent-auth.ts';
import { envelopes } from './downstream/envelopes.ts';
import { agentSide } from './agent-side.ts';
import type { ProtectedResource } from './downstream/resource-metadata.ts';
import { createLeases, revocationSeqOf } from './pipeline/leases.ts';
import { judgeStream } from './pipeline/mcp-answers.ts';
import { judgeLease } from './pipeline/pipeline.ts';
import type { BundleHolder, CallerMethods, Counters, IsolationPort, Ports, Recorder } from './pipeline/ports.ts';
import { jobStarts } from './sessions/job-starts.ts';
import { mcpSessions } from './sessions/mcp-sessions.ts';
import { mcpStreams } from './sessions/mcp-streams.ts';
import { sessionsServed } from './sessions/sessions-served.ts';
import { sessionRegistry, type SweptRegistry } from './sessions/registry.ts';
import { credentials, type Credentials } from './secrets/credentials.ts';
import type { SecretTimes } from './secrets/held-secret.ts';
import { vaultReader, type ReadVault } from './secrets/secret-vault.ts';
import type { ServerTlsRoom } from './secrets/server-tls.ts';
import type { Assertions } from './upstream/assertions.ts';
import { requestSigners } from './upstream/request-signing.ts';
import { forwardUpstream, type ForwardUpstream } from './upstream/forward.ts';
import type { AgentSide } from './upstream/forward-options.ts';

export interface PortsFrom {
  readonly config: SidecarConfig;
  readonly clock: Clock;
  readonly disk: FileSystem;
  readonly random: Random;
  readonly build: string;
  readonly epoch: SessionEpoch;
  readonly drain: Drain;
  /** Take no new calls. */
  readonly isLeaving: () => boolean;
  readonly account: BytesAccount;
  readonly holder: BundleHolder;
  readonly metrics: SidecarMetrics;
  readonly log: Log;
  readonly reservations: MemoryReservations;
  /** `undefined` until there is an identity; what needs one is then refused. */
  readonly recorder: () => Recorder | undefined;
  readonly tokens: () => { readonly agent: SessionTokens; readonly client: SessionTokens } | undefined;
  readonly assertions: Assertions;
  /** `undefined` where clients are not told where tokens are had. */
  readonly resource: ProtectedResource | undefined;
  readonly serverTls: ServerTlsRoom;
  readonly delegations: DelegationRoom;
  readonly isolation: IsolationPort;
}

/** How often a call is judged anew because the release switched under it. */
const REJUDGEMENTS_MAX = 5;

/** The ports, and the parts of them that the drain has to close. */
export function pipelinePorts(from: PortsFrom): {
  readonly ports: Ports;
  readonly upstream: ForwardUpstream;
  readonly sessions: SweptRegistry;
  readonly secrets: Credentials;
} {
  const { config, clock, random, build, account } = from;
  const tokens = { agent: tokensOf(() => from.tokens()?.agent), client: tokensOf(() => from.tokens()?.client) };
  const secrets = secretsOf(from);
  const proving = provingSecretsOf(from);
  const upstream = upstreamOf(from, { tokens, secrets });
  const mcp = mcpSessions({
    random,
    sessionsMax: config.limits.mcp_client_sessions_max,
    onLast: (binding) => upstream.release(binding),
  });
  const sessions = sessionRegistry({
    clock,
    random,
    epoch: from.epoch,
    sessionsMax: config.limits.sessions_max,
    perPrincipalMax: config.limits.sessions_per_principal_max,
    onOver: (id) => {
      mcp.forgetSession(id);
      upstream.forgetSession(id);
      from.reservations.forgetSession(id);
    },
  });
  const next = ulids({ clock, random });
  const ports: Ports = {
    agent: config.agent as AgentName,
    build,
    clock,
    limits: {
      requestBodyBytesMax: config.limits.request_body_bytes_max,
      headersBytesMax: config.limits.head_bytes_max,
      holdWhileSyncingMs: config.hold_while_syncing_ms,
      rejudgementsMax: REJUDGEMENTS_MAX,
    },
    load: { isDraining: from.isLeaving },
    bytesInFlight: account,
    bundle: from.holder,
    sessionBinding: config.inbound?.session_binding ?? 'none',
    schemes: { inbound: 'https', outbound: config.outbound.agent_certificate === undefined ? 'http' : 'https' },
    agentCredential: agentAuthentication(config, from),
    isolation: from.isolation,
    operatorTokens: operatorTokens(
      {},
      { keySets: keySetsOf(from), dpop: dpopProofs(clock), introspection: introspectionOf(from, proving) },
    ),
    callers: callersOf(from, proving),
    resourceMetadata: from.resource?.metadataUrl,
    envelopes: envelopes(replayMemory({ startedAt: clock.wall() })),
    sessionTokens: tokens.agent,
    clientTokens: tokens.client,
    delegations: from.delegations,
    sessions,
    sessionsServed: sessionsServed(),
    jobStarts: jobStarts(clock),
    mcpSessions: mcp,
    mcpStreams: mcpStreams({
      clock,
      streamsMax: config.limits.mcp_streams_max,
      judge: (stream) => judgeStream(stream, ports),
      revocationSeq: () => revocationSeqOf(ports.bundle.read()),
      isDraining: from.isLeaving,
    }),
    reservations: from.reservations,
    recorder: {
      decision: async (body, how) => present(from.recorder(), 'a record').decision(body, how),
      outcome: async (body, how) => present(from.recorder(), 'a record').outcome(body, how),
      state: async (frames) => present(from.recorder(), 'a record').state(frames),
    },
    upstream,
    leases: createLeases({
      clock,
      callMsMax: config.upstream.call_ms_max,
      bundle: from.holder,
      judge: (call, now) => judgeLease(call, now, ports),
    }),
    counters: countersOf(from),
    ids: { request: () => next() as RequestId, decision: () => next() as DecisionId },
  };
  return { ports, upstream, sessions, secrets };
}

/** The metrics, and a line of the log for what an operator has to look at. */
function countersOf({ metrics, log, clock }: PortsFrom): Counters {
  const bound = floodBound(clock);
  return {
    decision: (decision, code, gate) => metrics.decision(decision, code, gate),
    bug: () => metrics.bug(),
    observed: (code) => metrics.observed(code),
    shadow: (rule, would) => metrics.shadow(rule, would),
    unrecorded: () => metrics.unrecorded(),
    upstreamFailed(server, code, detail) {
      metrics.upstreamFailed(server, code, detail);
      const kept = bound(`${server} ${code}`, detail);
      if (kept !== undefined) log.warn('upstream_failed', { name: server, code, detail: kept });
    },
  };
}

/** At most so many requests to one identity provider at once: one flight for each issuer, and some may share a host. */
const IDENTITY_IN_FLIGHT_MAX = 16;

/** A dialler of its own: a tool server and an identity provider of one name are never one lane. */
function keySetsOf({ config, clock, drain, log, metrics }: PortsFrom): KeySets {
  const { connect_ms_max: connectMsMax } = config.upstream;
  const upstreams = createUpstreams({ clock, limits: { connectMsMax, inFlightMax: IDENTITY_IN_FLIGHT_MAX, idleConnectionsMax: 2 } });
  const bound = floodBound(clock);
  const { identity } = config;
  const held = keySets({
    upstreams,
    clock,
    limits: {
      fetchMsMax: identity.keys_fetch_ms_max,
      pauseMs: identity.keys_pause_ms,
      pauseAfterFailureMs: identity.keys_pause_after_failure_ms,
    },
    onFailure(issuer, detail) {
      metrics.identityKeysFailed(issuer);
      const kept = bound(issuer, detail);
      if (kept !== undefined) log.warn('identity_keys_failed', { name: issuer, detail: kept });
    },
  });
  drain.onDrain('identity', async () => {
    held.close();
    upstreams.close();
  });
  return held;
}

function tokensOf(held: () => SessionTokens | undefined): SessionTokens {
  return {
    mint: async (grant, now) => present(held(), 'a session token').mint(grant, now),
    verify: (token, now) => present(held(), 'a session token').verify(token, now),
  };
}

function upstreamOf(
  from: PortsFrom,
  { tokens, secrets }: { readonly tokens: AgentSide['tokens']; readonly secrets: Credentials },
): ForwardUpstream {
  const { config, clock, random, drain, account, build, assertions, serverTls, delegations } = from;
  const { limits, upstream, inbound } = config;
  const dialling = {
    clock,
    limits: {
      connectMsMax: upstream.connect_ms_max,
      firstByteMsMax: upstream.first_byte_ms_max,
      idleMsMax: upstream.idle_ms_max,
      inFlightMax: upstream.in_flight_max,
    },
  };
  const upstreams = createUpstreams({ ...dialling, tls: serverTls.of });
  drain.onDrain('upstreams', async () => upstreams.close());
  const agent = inbound === undefined ? undefined : agentSide(inbound, { ...dialling, tls: serverTls.of, disk: from.disk, tokens });
  if (agent !== undefined) drain.onDrain('agent', async () => agent.upstreams.close());
  return forwardUpstream({
    upstreams,
    credentials: secrets,
    account,
    clock,
    build,
    assertions,
    signers: requestSigners({ clock, random, signerOf: (assertion) => assertions.signerOf(assertion) }),
    delegations,
    serverTls,
    ...(agent === undefined ? {} : { agent }),
    limits: {
      answerBytesMax: limits.answer_bytes_max,
      mcpSessionsMax: limits.mcp_sessions_max,
      handshakeMsMax: upstream.first_byte_ms_max,
    },
  });
}

function secretsOf(from: PortsFrom): Credentials {
  const { config, clock } = from;
  return credentials({
    clock,
    folder: config.secrets.folder,
    vault: vaultOf(from),
    oauth: sourcesOf(from),
    times: secretTimes(config),
  });
}

/** What callers are proven with, and what their issuer is asked with. */
function provingSecretsOf(from: PortsFrom): CallerSecrets {
  const { config, clock } = from;
  return callerSecrets({ clock, folder: config.secrets.folder, vault: vaultOf(from), times: secretTimes(config) });
}

/** A dialler of its own: whoever asks about a made-up token takes no place of those who fetch keys. */
function introspectionOf({ config, clock, drain }: PortsFrom, secrets: CallerSecrets): TokenIntrospection {
  const { connect_ms_max: connectMsMax } = config.upstream;
  const upstreams = createUpstreams({ clock, limits: { connectMsMax, inFlightMax: IDENTITY_IN_FLIGHT_MAX, idleConnectionsMax: 2 } });
  drain.onDrain('introspection', async () => upstreams.close());
  // Owner: this function. The secrets of each issuer, as the room of secrets knows them; gone with the bundle.
  const known = new WeakMap<Introspection, WithSecrets>();
  return tokenIntrospection({
    upstreams,
    clock,
    askMsMax: config.identity.keys_fetch_ms_max,
    async secretOf(of) {
      const { name, source } = of.secret;
      const own = known.get(of) ?? { secrets: { [name]: source } };
      known.set(of, own);
      await secrets.ready(own);
      const bytes = secrets.secretOf(name);
      return bytes === undefined ? undefined : fromUtf8(bytes);
    },
  });
}

function callersOf(from: PortsFrom, secrets: CallerSecrets): CallerMethods {
  const { config, clock } = from;
  const { replays_max: replaysMax, bytes_in_flight_max: bytesMax } = config.limits;
  return callerDoor({ clock, secrets, replaysMax, unprovenBytesMax: Math.floor(bytesMax / UNPROVEN_PART) });
}

/** The part of all buffered bytes that callers who are not proven yet may take together. */
const UNPROVEN_PART = 8;

/** How long what lies in places of secrets is used, as configured. */
export function secretTimes({ secrets }: SidecarConfig): SecretTimes {
  return { refreshMs: secrets.refresh_ms, lastGoodMsMax: secrets.last_good_ms_max, readMsMax: secrets.read_ms_max };
}

/** Diallers of their own: a tool server and a place of secrets of one name are never one lane. */
function sourcesOf({ config, clock, drain, serverTls }: PortsFrom, authorities: readonly string[] = []): Upstreams {
  const limits = { connectMsMax: config.upstream.connect_ms_max, inFlightMax: SECRETS_IN_FLIGHT_MAX, idleConnectionsMax: 2 };
  const upstreams = createUpstreams({ clock, limits, authorities, tls: serverTls.of });
  drain.onDrain('secrets', async () => upstreams.close());
  return upstreams;
}

/** One flight for each secret. */
const SECRETS_IN_FLIGHT_MAX = 256;

function vaultOf(from: PortsFrom): ReadVault | undefined {
  const { vault } = from.config.secrets;
  if (vault === undefined) return undefined;
  const { address, network, token_file: tokenFile, authorities_file: authoritiesFile } = vault;
  return vaultReader({ address, network, tokenFile, authoritiesFile, dial: (authorities) => sourcesOf(from, authorities) });
}

/** Before there is an identity nothing is held either, so that only refusals come this far; they go unrecorded and are counted. */
function present<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new Fault('control_plane_unreachable', 'internal', `${what} before there is an identity`);
  return value;
}
