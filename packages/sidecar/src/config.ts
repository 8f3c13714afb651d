/**
 * The configuration of the sidecar: one strict schema from which the type, the checks, the environment names and the
 * reference page (docs/reference/sidecar-config.md) come. It says where things are and how much is too much; what is
 * allowed is the bundle's to say. No field holds a secret.
 */

import { mayReachAgent } from '@sallyport/dialects';
import { SERVICE_IDENTITY, type Isolation, type Problem } from '@sallyport/model';
import {
  bytes,
  choice,
  count,
  dialAddress,
  durationMs,
  filePath,
  flag,
  listOf,
  listenAddress,
  optional,
  origin,
  section,
  text,
  type Field,
  type DialAddress,
  type ListenAddress,
} from '@sallyport/runtime';
import { OUTBOUND, type OutboundConfig } from './config-outbound.ts';
import { judgeAgentAuth } from './downstream/agent-auth.ts';

const KB = 1024;
const MB = 1024 * KB;
const SECOND = 1_000;
const MINUTE = 60 * SECOND;

/** What the sidecar was told at start. Paths are absolute; all of it is frozen. */
export interface SidecarConfig {
  readonly agent: string;
  readonly instance: string;
  readonly area: string;
  readonly ring: string;
  readonly state_dir: string;
  readonly root_pin_file: string;
  readonly root_file?: string;
  readonly trust_statement_file?: string;
  readonly allow_development_root: boolean;
  readonly control_plane: {
    readonly address: DialAddress;
    readonly enrolment_address: DialAddress;
    readonly join_token_file?: string;
    readonly attestation_token_file?: string;
  };
  readonly policy?: { readonly directory: string; readonly look_ms: number };
  readonly outbound: OutboundConfig;
  readonly inbound?: {
    readonly listen: ListenAddress;
    readonly certificate_file: string;
    readonly key_file: string;
    readonly client_ca_file?: string;
    readonly public_url?: string;
    readonly session_binding: 'none' | 'certificate' | 'address';
    readonly headers: readonly string[];
    readonly agent: {
      readonly url?: string;
      readonly socket?: string;
      readonly tls?: { readonly authorities_file?: string; readonly identity?: string };
    };
  };
  readonly health: { readonly listen: ListenAddress };
  readonly admin: { readonly socket?: string };
  readonly isolation: Isolation;
  readonly hold_while_syncing_ms: number;
  readonly drain_ms: number;
  readonly limits: {
    readonly bytes_in_flight_max: number;
    readonly request_body_bytes_max: number;
    readonly answer_bytes_max: number;
    readonly head_bytes_max: number;
    readonly connections_max: number;
    readonly waiting_for_policy_max: number;
    readonly sessions_max: number;
    readonly sessions_per_principal_max: number;
    readonly reservations_max: number;
    readonly replays_max: number;
    readonly mcp_client_sessions_max: number;
    readonly mcp_streams_max: number;
    readonly mcp_sessions_max: number;
  };
  readonly identity: {
    readonly keys_fetch_ms_max: number;
    readonly keys_pause_ms: number;
    readonly keys_pause_after_failure_ms: number;
  };
  readonly upstream: {
    readonly connect_ms_max: number;
    readonly first_byte_ms_max: number;
    readonly idle_ms_max: number;
    readonly call_ms_max: number;
    readonly in_flight_max: number;
  };
  readonly secrets: {
    readonly folder?: string;
    readonly vault?: {
      readonly address: string;
      readonly network: 'public' | 'private' | 'loopback';
      readonly token_file: string;
      readonly authorities_file?: string;
    };
    readonly refresh_ms: number;
    readonly last_good_ms_max: number;
    readonly read_ms_max: number;
  };
  readonly audit: {
    readonly segment_bytes_max: number;
    readonly journal_bytes_max: number;
    readonly checkpoint_records: number;
    readonly checkpoint_interval_ms: number;
    readonly refusal_records_per_window: number;
  };
}

const NAME = { charactersMax: 63, pattern: /^[a-z][a-z0-9-]{0,62}$/, form: 'lower-case letters, digits and hyphens, a letter first' };

/** The schema. Unknown keys, wrong types and values out of range are all reported at once. */
export const SIDECAR_CONFIG: Field<SidecarConfig> = section('Sidecar', {
  agent: text({ says: 'The agent beside which this sidecar stands, as the bundle registers it', ...NAME }),
  instance: text({ says: 'Name of this instance of the agent, unique among its sidecars', ...NAME, default: 'one' }),
  area: text({
    says: 'The area whose bundle applies here',
    charactersMax: 511,
    pattern: /^[a-z][a-z0-9-]{0,62}(\/[a-z0-9][a-z0-9-]{0,62}){0,7}$/,
    form: 'names joined by `/`, broadest first',
    default: 'default',
  }),
  ring: text({ says: 'The stage of a rollout that this sidecar belongs to', ...NAME, default: 'default' }),
  state_dir: filePath({
    says: 'Folder for identity, cached bundle, high-water mark and journal; only this process may read it',
    trusted: 'delete what is remembered, which denies until a live proof; take the identity of this sidecar',
  }),
  root_pin_file: filePath({
    says: 'File with the digest of the payload of Root 1, `sha256:` and 64 hex digits',
    trusted: 'choose whose policy is enforced here',
  }),
  root_file: optional(filePath({ says: 'Root 1 as an envelope, where it does not come over the stream; verified against the pin' })),
  trust_statement_file: optional(
    filePath({ says: 'What is said of this agent, shown to the agents that it calls; read again when it changes' }),
  ),
  allow_development_root: flag({ says: 'Accept a Root of profile `development`, whose keys nobody guards', default: false }),
  control_plane: section('Where policy comes from and audit goes to; never asked about a request', {
    address: dialAddress({ says: 'Where it serves gRPC over mutual TLS', default: '127.0.0.1:7443' }),
    enrolment_address: dialAddress({ says: 'Where it enrols sidecars for the first time', default: '127.0.0.1:7445' }),
    join_token_file: optional(filePath({ says: 'One-time join token, needed until this sidecar has an identity' })),
    attestation_token_file: optional(
      filePath({
        says: 'In the place of a join token: the projected service-account token of this pod, for the audience of enrolment, mounted in this container alone; `root_file` is needed with it, and `instance` is `pod-` and the uid of the pod',
        trusted: 'enrol as this sidecar while it is not enrolled',
      }),
    ),
  }),
  policy: optional(
    section('Policy, freshness and revocations from a folder, beside the control plane and under the same checks', {
      directory: filePath({
        says: 'Folder with signed objects, as `sallyport bundle export` writes it; others than its owner may not write to it',
        trusted: 'withhold policy and freshness, which ends in denial; what is not signed counts for nothing',
      }),
      look_ms: durationMs({ says: 'Between two looks at it', min: 100, max: MINUTE, default: SECOND }),
    }),
  ),
  outbound: OUTBOUND,
  inbound: optional(
    section('Where callers reach the agent, under TLS; without it nobody does', {
      listen: listenAddress({ says: 'Where callers come: an address and a port', default: '0.0.0.0:8443' }),
      certificate_file: filePath({ says: 'Certificates as PEM, the leaf first; read again when it changes' }),
      key_file: filePath({ says: 'The private key of the leaf as PEM', trusted: 'pass for this gateway' }),
      client_ca_file: optional(
        filePath({
          says: 'Authorities as PEM, one of which must vouch for every caller’s certificate; without it none is asked for',
          trusted: 'open connections',
        }),
      ),
      public_url: optional(
        origin({
          says: 'Under which name clients know this port; with it they are told where to get a token (RFC 9728)',
          httpsOnly: true,
        }),
      ),
      session_binding: choice({
        of: ['none', 'certificate', 'address'],
        says: 'What a client of a session must still have beside its credential: `certificate`, the client certificate that it was opened with; `address`, the IP address',
        default: 'none',
      }),
      headers: listOf(
        text({ says: 'A name in lower case', charactersMax: 64, pattern: /^[a-z][a-z0-9-]{0,63}$/, form: 'a header in lower case' }),
        { says: 'Headers of callers that reach the agent beside the usual ones; none that says who calls or where to', itemsMax: 32 },
      ),
      agent: section('Where the agent itself listens, for this sidecar alone; one of the two', {
        url: optional(
          text({
            says: 'An `http:` or `https:` URL on loopback, such as `http://127.0.0.1:9000`',
            charactersMax: 256,
            pattern: /^https?:\/\/(?:127(?:\.[0-9]{1,3}){3}|\[::1\])(?::[1-9][0-9]{0,4})?(?:\/[A-Za-z0-9._~-]+)*$/,
            form: '`http://` or `https://`, `127.0.0.1:<port>` or `[::1]:<port>`, and perhaps a path',
          }),
        ),
        socket: optional(filePath({ says: 'A Unix socket that no other user can enter' })),
        tls: optional(
          section('With an `https:` URL: how the agent proves that it is the agent; it is shown this sidecar’s own certificate', {
            authorities_file: optional(
              filePath({
                says: 'Authorities as PEM, one of which must vouch for it; without it the CA of this sidecar’s own certificate',
                trusted: 'pass for the agent',
              }),
            ),
            identity: optional(
              text({
                says: 'The SPIFFE id that its certificate must name in place of the address; needed without `authorities_file`',
                charactersMax: 2_048,
                pattern: new RegExp(SERVICE_IDENTITY),
                form: 'a SPIFFE id, and none of a sidecar, a control plane or an administrator',
              }),
            ),
          }),
        ),
      }),
    }),
  ),
  health: section('Liveness, readiness and metrics', {
    listen: listenAddress({ says: 'Where `/livez`, `/readyz` and `/metrics` are served', default: '127.0.0.1:15020' }),
  }),
  admin: section('Administration', {
    socket: optional(
      filePath({
        says: 'Unix socket for administration, in a folder that the agent cannot enter; `admin/socket` in `state_dir` unless given',
      }),
    ),
  }),
  isolation: choice({
    of: ['enforced', 'advisory'],
    says: 'Whether the agent is kept from going round the sidecar, as whoever deployed it vouches for: `enforced`, it runs as another user and has no other way out. What the sidecar sees to the contrary makes it `advisory`, and tools that move money, personal data or exports, or destroy, are refused unless the policy says otherwise',
    default: 'advisory',
  }),
  hold_while_syncing_ms: durationMs({
    says: 'How long a request waits for a fresh bundle before it is refused',
    min: 0,
    max: 30 * SECOND,
    default: 3 * SECOND,
  }),
  drain_ms: durationMs({
    says: 'How long a stop waits for running calls, and again for records to be shipped',
    min: 0,
    max: 10 * MINUTE,
    default: 10 * SECOND,
  }),
  limits: section('Bounds on what callers can make this process hold', {
    bytes_in_flight_max: bytes({ says: 'All buffered bodies and answers together', min: 1 * MB, max: 4096 * MB, default: 32 * MB }),
    request_body_bytes_max: bytes({ says: 'One request body, also after decompression', min: 1 * KB, max: 64 * MB, default: 1 * MB }),
    answer_bytes_max: bytes({ says: 'One answer, or one message of it', min: 1 * KB, max: 256 * MB, default: 4 * MB }),
    head_bytes_max: bytes({ says: 'One request head', min: 1 * KB, max: 256 * KB, default: 16 * KB }),
    connections_max: count({ says: 'Connections of the agent at once', unit: 'connections', min: 1, max: 65_536, default: 512 }),
    waiting_for_policy_max: count({
      says: 'Requests that wait for a fresh bundle at once (`hold_while_syncing_ms`); one more is refused without waiting',
      unit: 'requests',
      min: 0,
      max: 65_536,
      default: 256,
    }),
    sessions_max: count({ says: 'Open sessions', unit: 'sessions', min: 1, max: 1_000_000, default: 10_000 }),
    sessions_per_principal_max: count({
      says: 'Open sessions of one principal; with one more, its own that was used longest ago is over. A request of a caller that names no session opens one',
      unit: 'sessions',
      min: 1,
      max: 1_000_000,
      default: 1_000,
    }),
    reservations_max: count({ says: 'Live limits counted at once', unit: 'entries', min: 1, max: 10_000_000, default: 200_000 }),
    replays_max: count({
      says: 'Signatures and nonces of callers that are remembered as spent; when there is no room for one more it is refused',
      unit: 'entries',
      min: 1_000,
      max: 10_000_000,
      default: 100_000,
    }),
    mcp_client_sessions_max: count({
      says: 'MCP sessions that the agent may have open; for one more, the one used longest ago is ended',
      unit: 'sessions',
      min: 1,
      max: 100_000,
      default: 1_000,
    }),
    mcp_streams_max: count({
      says: 'Streams of MCP sessions that the agent holds open at once',
      unit: 'streams',
      min: 0,
      max: 65_536,
      default: 128,
    }),
    mcp_sessions_max: count({ says: 'Sessions with MCP servers kept at once', unit: 'sessions', min: 1, max: 100_000, default: 1_000 }),
  }),
  identity: section('Keys of identity providers that publish them; which ones, and how old their keys may be, the bundle says', {
    keys_fetch_ms_max: durationMs({
      says: 'To fetch the keys of one issuer, discovery and key set together',
      min: 10,
      max: MINUTE,
      default: 5 * SECOND,
    }),
    keys_pause_ms: durationMs({
      says: 'Between two fetches for one issuer, which tokens of unknown keys bring about',
      min: SECOND,
      max: 10 * MINUTE,
      default: 30 * SECOND,
    }),
    keys_pause_after_failure_ms: durationMs({
      says: 'The same after a fetch that failed',
      min: SECOND,
      max: 10 * MINUTE,
      default: 5 * SECOND,
    }),
  }),
  upstream: section('Calls to tools', {
    connect_ms_max: durationMs({ says: 'To connect', min: 10, max: 5 * MINUTE, default: 5 * SECOND }),
    first_byte_ms_max: durationMs({
      says: 'From the request to the first byte of the answer',
      min: 10,
      max: 60 * MINUTE,
      default: 60 * SECOND,
    }),
    idle_ms_max: durationMs({ says: 'Between two parts of an answer', min: 10, max: 60 * MINUTE, default: 60 * SECOND }),
    call_ms_max: durationMs({
      says: 'One call as a whole, however busily its answer comes',
      min: SECOND,
      max: 24 * 60 * MINUTE,
      default: 10 * MINUTE,
    }),
    in_flight_max: count({ says: 'Calls under way per tool server', unit: 'calls', min: 1, max: 65_536, default: 256 }),
  }),
  secrets: section('Where the credentials lie that calls carry; the bundle names them, and no field holds one', {
    folder: optional(
      filePath({
        says: 'Folder below which the files lie that a Credential names; others than this process’s user and group may not reach them',
        trusted: 'choose what tools are called with',
      }),
    ),
    vault: optional(
      section('The Vault whose secrets a Credential may name (KV, version 2)', {
        address: origin({ says: 'Where it serves; `http:` on loopback alone' }),
        network: choice({ says: 'Where its address must lie', of: ['public', 'private', 'loopback'], default: 'private' }),
        token_file: filePath({ says: 'File with the token to ask with, such as Vault’s agent keeps it; read at each asking' }),
        authorities_file: optional(
          filePath({
            says: 'Certificate authorities in PEM that its certificate is believed by, besides the platform’s own',
            trusted: 'choose what tools are called with',
          }),
        ),
      }),
    ),
    refresh_ms: durationMs({
      says: 'A value is used for so long before its source is asked again',
      min: 100,
      max: 60 * MINUTE,
      default: 10 * SECOND,
    }),
    last_good_ms_max: durationMs({
      says: 'While its source cannot be read a value is used for so long, or for its `max_age` where that is less',
      min: 0,
      max: 24 * 60 * MINUTE,
      default: 60 * MINUTE,
    }),
    read_ms_max: durationMs({ says: 'One look at a source', min: 10, max: MINUTE, default: 5 * SECOND }),
  }),
  audit: section('The journal, in which every decision is kept until the collector has it', {
    segment_bytes_max: bytes({
      says: 'A file of the journal is ended before it grows past this',
      min: 64 * KB,
      max: 1024 * MB,
      default: 8 * MB,
    }),
    journal_bytes_max: bytes({
      says: 'The whole journal; when it is full calls are refused',
      min: 1 * MB,
      max: 1024 * 1024 * MB,
      default: 512 * MB,
    }),
    checkpoint_records: count({
      says: 'The audit stream is signed after this many records',
      unit: 'records',
      min: 1,
      max: 1_000_000,
      default: 1_000,
    }),
    checkpoint_interval_ms: durationMs({
      says: 'The audit stream is signed at least this often while it grows',
      min: SECOND,
      max: 60 * MINUTE,
      default: 10 * SECOND,
    }),
    refusal_records_per_window: count({
      says: 'Refusals of one source without a credential that are records of their own, a minute; more are counted in one',
      unit: 'records',
      min: 0,
      max: 1_000_000,
      default: 1_000,
    }),
  }),
});

/** Values that are each in range and cannot work together; every problem at once. */
export function judgeCombinations({ limits, audit, secrets, inbound, outbound, control_plane: from }: SidecarConfig): readonly Problem[] {
  const problems: Problem[] = [...judgeAgentAuth(outbound)];
  const require = (holds: boolean, path: string, message: string): void => {
    if (!holds) problems.push({ path, message });
  };
  const inFlight = `\`limits.bytes_in_flight_max\` (${limits.bytes_in_flight_max})`;
  require(audit.journal_bytes_max >=
    SEGMENTS_MIN *
      audit.segment_bytes_max, 'audit.journal_bytes_max', `is less than ${SEGMENTS_MIN} times \`audit.segment_bytes_max\` (${audit.segment_bytes_max})`);
  // A compressed body is held twice while it is read.
  require(limits.request_body_bytes_max * 2 <=
    limits.bytes_in_flight_max, 'limits.request_body_bytes_max', `is more than half of ${inFlight}: such a body could never be read`);
  const { vault } = secrets;
  require(vault === undefined ||
    vault.network === 'loopback' ||
    vault.address.startsWith(
      'https:',
    ), 'secrets.vault.address', 'is `http:` beyond loopback: whoever listens would have the token and every secret');
  require(limits.answer_bytes_max <= limits.bytes_in_flight_max, 'limits.answer_bytes_max', `is more than ${inFlight}`);
  require(from.join_token_file === undefined ||
    from.attestation_token_file ===
      undefined, 'control_plane.attestation_token_file', 'stands beside a join token: a sidecar proves itself by one of them');
  const isNear = outbound.listen.kind === 'unix' || outbound.listen.host === '::1' || outbound.listen.host.startsWith('127.');
  require(isNear, 'outbound.listen', 'is an address that more than this machine reaches: loopback or a Unix socket');
  if (inbound !== undefined) {
    const { agent, headers, listen } = inbound;
    require((agent.url === undefined) !== (agent.socket === undefined), 'inbound.agent', 'has either `url` or `socket`');
    const isSecure = agent.url?.startsWith('https:') === true;
    require(isSecure === (agent.tls !== undefined), 'inbound.agent.tls', 'goes with an `https:` URL, and such a URL with it');
    require(agent.tls?.authorities_file !== undefined ||
      agent.tls?.identity !== undefined ||
      !isSecure, 'inbound.agent.tls', 'has `authorities_file`, or else `identity`: every workload’s certificate would do');
    require(inbound.session_binding !== 'certificate' ||
      inbound.client_ca_file !==
        undefined, 'inbound.session_binding', 'is `certificate`, and no certificate is asked for: set `client_ca_file`');
    require(listen.kind === 'tcp', 'inbound.listen', 'is a Unix socket, which callers do not reach');
    for (const name of headers)
      require(mayReachAgent(name), 'inbound.headers', `\`${name}\` says who calls, or where to, and does not travel`);
  }
  return problems;
}

const SEGMENTS_MIN = 4;
