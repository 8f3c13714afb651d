/**
 * The configuration of the control plane: one strict schema from which the type, the checks, the environment names and
 * the reference page (docs/reference/control-plane-config.md) come. Keys are files; no field holds a secret. Whether
 * what the files hold fits together is judged by `authority.ts`, before any port opens.
 */

import { bytes, count, durationMs, filePath, flag, listOf, listenAddress, optional, section, text } from '@sallyport/runtime';
import type { Field, ListenAddress } from '@sallyport/runtime';

const KB = 1024;
const MB = 1024 * KB;
const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** What the control plane was told at start. Paths are absolute; all of it is frozen. */
export interface ControlPlaneConfig {
  readonly root_files: readonly string[];
  readonly root_pin_file: string;
  readonly allow_development_root: boolean;
  readonly delegation_files: readonly string[];
  readonly online_keys_file: string;
  readonly freshness_key_file: string;
  readonly revocation_key_file: string;
  readonly directory_key_file?: string;
  readonly directory_interval_ms: number;
  readonly workload_ca: { readonly certificate_file: string; readonly key_file: string };
  readonly audit_key_file: string;
  readonly state_dir: string;
  readonly database?: { readonly url: string; readonly password_file?: string; readonly ca_file?: string };
  readonly listen: { readonly grpc: ListenAddress; readonly enrolment: ListenAddress; readonly health?: ListenAddress };
  readonly server_names: readonly string[];
  readonly attestation?: {
    readonly keys_file: string;
    readonly issuer: string;
    readonly audience: string;
    readonly token_lifetime_ms_max: number;
    readonly workloads: readonly {
      readonly service_account: string;
      readonly agent: string;
      readonly area: string;
      readonly ring: string;
    }[];
  };
  readonly freshness_ttl_ms: number;
  readonly workload_certificate_ms: number;
  readonly fleet_memory_ms: number;
  readonly drain_ms: number;
  readonly audit: {
    readonly segment_bytes_max: number;
    readonly log_bytes_max: number;
    readonly checkpoint_records: number;
    readonly checkpoint_interval_ms: number;
    readonly unclosed_after_ms: number;
  };
  readonly limits: {
    readonly subscribers_max: number;
    readonly unsent_bytes_max: number;
    readonly hello_wait_ms_max: number;
    readonly verdict_wait_ms_max: number;
    readonly staging_wait_ms_max: number;
    readonly part_streams_max: number;
    readonly ship_streams_max: number;
    readonly ship_pending_bytes_max: number;
    readonly tail_streams_max: number;
    readonly join_token_ms_max: number;
    readonly join_tokens_max: number;
    readonly objects_bytes_max: number;
  };
}

const workloadCa = section('The authority that certifies sidecars, administrators and this process; Root must list its certificate', {
  certificate_file: filePath({ says: 'Certificate of the workload CA, PEM' }),
  key_file: filePath({
    says: 'Private key of the workload CA, PEM (PKCS#8), readable by its owner alone',
    trusted: 'stop enrolment; whoever can read it can pose as any workload under the prefixes that Root lists',
  }),
});

const listen = section('Where to listen; names are not resolved', {
  grpc: listenAddress({ says: 'gRPC over mutual TLS: policy stream, audit, publishing, fleet, renewal', default: '127.0.0.1:7443' }),
  enrolment: listenAddress({ says: 'gRPC over server-authenticated TLS: first enrolment by join token', default: '127.0.0.1:7445' }),
  health: optional(listenAddress({ says: 'Plain HTTP for `/livez`, `/readyz` and `/metrics`; not served unless given' })),
});

const WORD = { charactersMax: 63, pattern: /^[a-z][a-z0-9-]{0,62}$/, form: 'lower-case letters, digits and hyphens, a letter first' };

const attestation = section('A cluster whose pods enrol by their own tokens; without it, join tokens alone', {
  keys_file: filePath({
    says: 'The keys of the cluster, as its `/openid/v1/jwks` gives them; read at each enrolment',
    trusted: 'enrol as any workload that is listed here',
  }),
  issuer: text({ says: 'The issuer of the cluster, compared with `iss` byte for byte', charactersMax: 512 }),
  audience: text({ says: 'The audience of the projection, of no other service', charactersMax: 256, default: 'sallyport-enrolment' }),
  token_lifetime_ms_max: durationMs({ says: 'The longest life of a token, `exp - iat`', min: MINUTE, max: DAY, default: HOUR }),
  workloads: listOf(
    section('Whose sidecars these are', {
      service_account: text({
        says: 'The service account of the pod',
        charactersMax: 512,
        pattern: /^system:serviceaccount:[a-z0-9-]{1,63}:[a-z0-9.-]{1,253}$/,
        form: '`system:serviceaccount:<namespace>:<name>`',
      }),
      agent: text({ says: 'The agent beside which it stands', ...WORD }),
      area: text({
        says: 'The area whose bundle applies there',
        charactersMax: 511,
        pattern: /^[a-z][a-z0-9-]{0,62}(\/[a-z0-9][a-z0-9-]{0,62}){0,7}$/,
        form: 'names joined by `/`, broadest first',
        default: 'default',
      }),
      ring: text({ says: 'The stage of a rollout that it belongs to', ...WORD, default: 'default' }),
    }),
    { says: 'One row for each service account', itemsMin: 1, itemsMax: 1_000 },
  ),
});

const audit = section('The collector: append-only segments, and the index over them', {
  segment_bytes_max: bytes({ says: 'A segment file is ended before it grows past this', min: 64 * KB, max: 1024 * MB, default: 64 * MB }),
  log_bytes_max: bytes({
    says: 'All segments together; beyond it nothing more is acknowledged, and sidecars keep their records',
    min: 1 * MB,
    max: 1024 * 1024 * MB,
    default: 64 * 1024 * MB,
  }),
  checkpoint_records: count({
    says: 'The own stream is signed after this many records',
    unit: 'records',
    min: 1,
    max: 100_000,
    default: 100,
  }),
  checkpoint_interval_ms: durationMs({
    says: 'The own stream is signed at least this often while it grows',
    min: SECOND,
    max: HOUR,
    default: MINUTE,
  }),
  unclosed_after_ms: durationMs({
    says: 'A stream without CLOSE whose sidecar was not heard of for this long raises the alert `UNCLOSED`',
    min: SECOND,
    max: 30 * DAY,
    default: HOUR,
  }),
});

const database = section('A PostgreSQL that several control planes share; without it, SQLite in `state_dir` for one', {
  url: text({
    says: 'Where it is: `postgres://<user>@<host>:<port>/<database>`, reached by TLS unless it is this machine; no password, no parameters',
    charactersMax: 1_024,
  }),
  password_file: optional(
    filePath({
      says: 'The password, one line, readable by its owner alone',
      trusted:
        'change which release is said to be current, and spend or make join tokens; signed objects and the log of revocations cannot be changed unnoticed',
    }),
  ),
  ca_file: optional(filePath({ says: 'Authorities that certify the server, PEM; those of the platform unless given' })),
});

const limits = section('Bounds on what callers can make this process hold', {
  subscribers_max: count({
    says: 'Policy streams at once; more are answered `RESOURCE_EXHAUSTED`',
    unit: 'streams',
    min: 1,
    max: 100_000,
    default: 4_000,
  }),
  unsent_bytes_max: bytes({
    says: 'A policy stream with more than this unsent gets revocations alone, and is then asked to reconnect',
    min: 32 * KB,
    max: 16 * MB,
    default: 256 * KB,
  }),
  hello_wait_ms_max: durationMs({
    says: 'How long a new policy stream may take to say Hello',
    min: 100,
    max: MINUTE,
    default: 10 * SECOND,
  }),
  verdict_wait_ms_max: durationMs({
    says: 'How long a sidecar may take over one offer before it is asked to reconnect',
    min: SECOND,
    max: HOUR,
    default: 2 * MINUTE,
  }),
  staging_wait_ms_max: durationMs({
    says: 'How long a release waits for connected sidecars to stage its bundles before it is refused',
    min: 0,
    max: 10 * MINUTE,
    default: 10 * SECOND,
  }),
  part_streams_max: count({ says: 'Part downloads at once', unit: 'streams', min: 1, max: 10_000, default: 256 }),
  ship_streams_max: count({ says: 'Audit streams at once', unit: 'streams', min: 1, max: 100_000, default: 4_000 }),
  ship_pending_bytes_max: bytes({
    says: 'Record bytes accepted and not yet durable, over all audit streams; beyond it sidecars are asked to slow down',
    min: 1 * MB,
    max: 1024 * MB,
    default: 64 * MB,
  }),
  tail_streams_max: count({ says: 'Audit readers at once', unit: 'streams', min: 1, max: 1_000, default: 32 }),
  join_token_ms_max: durationMs({ says: 'The longest life of a join token', min: MINUTE, max: 30 * DAY, default: DAY }),
  join_tokens_max: count({ says: 'Unspent join tokens at once', unit: 'tokens', min: 1, max: 1_000_000, default: 10_000 }),
  objects_bytes_max: bytes({
    says: 'Bundle parts and signed objects together',
    min: 1 * MB,
    max: 1024 * 1024 * MB,
    default: 4 * 1024 * MB,
  }),
});

/** The schema. Unknown keys, wrong types and values out of range are all reported at once. */
export const CONTROL_PLANE_CONFIG: Field<ControlPlaneConfig> = section('Control plane', {
  root_files: listOf(filePath({ says: 'A signed Root, as an envelope' }), {
    says: 'Roots 1, 2, 3 and so on without a gap, as envelopes',
    itemsMin: 1,
    itemsMax: 256,
  }),
  root_pin_file: filePath({
    says: 'File with the digest of the payload of Root 1, `sha256:` and 64 hex digits',
    trusted: 'choose whose policy is accepted here, together with the Roots; sidecars still hold their own pin',
  }),
  allow_development_root: flag({ says: 'Accept a Root of profile `development`', default: false }),
  delegation_files: listOf(filePath({ says: 'A signed AreaDelegation, as an envelope' }), {
    says: 'Who publishes for which area, one file for each area',
    itemsMin: 1,
    itemsMax: 256,
  }),
  online_keys_file: filePath({ says: 'The signed OnlineKeys, as an envelope; it must list the freshness key' }),
  freshness_key_file: filePath({
    says: 'Ed25519 private key that signs freshness and live proofs, PEM (PKCS#8), readable by its owner alone',
    trusted:
      'stop freshness, and with it all traffic; whoever can read it can keep the present release in force until its period ends, and no other',
  }),
  revocation_key_file: filePath({
    says: 'Ed25519 private key that signs revocations, PEM (PKCS#8), readable by its owner alone',
    trusted: 'stop revocation; whoever can read it can deny, and never allow',
  }),
  directory_key_file: optional(
    filePath({
      says: 'Ed25519 private key that signs what the directory says of principals, PEM (PKCS#8), readable by its owner alone; without it nothing is said',
      trusted:
        'stop the directory; whoever can read it can say of principals what Root and bundles leave to the directory, and nothing else',
    }),
  ),
  directory_interval_ms: durationMs({
    says: 'How often the directory is signed again, so that it does not grow old; well below the `max_age` of its attributes',
    min: SECOND,
    max: HOUR,
    default: MINUTE,
  }),
  workload_ca: workloadCa,
  audit_key_file: filePath({
    says: 'Ed25519 private key that signs the own audit stream and exports, PEM (PKCS#8), readable by its owner alone',
    trusted: 'stop the record of acts; whoever can read it and the key of the workload CA can forge that record',
  }),
  state_dir: filePath({
    says: 'Folder for the database, bundles and audit segments; made if absent, one process at a time',
    trusted: 'stop policy and destroy evidence; changes to signed objects and records are noticed',
  }),
  database: optional(database),
  listen,
  server_names: listOf(text({ says: 'A DNS name or IP address', charactersMax: 253 }), {
    says: 'Names and addresses under which sidecars and administrators reach this process; they go into its certificate',
    itemsMin: 1,
    itemsMax: 32,
  }),
  attestation: optional(attestation),
  freshness_ttl_ms: durationMs({
    says: 'How long sidecars may go on without hearing from here; at least 15 s unless Root is a development root, and at most what Root allows',
    min: 2 * SECOND,
    max: DAY,
    default: 5 * MINUTE,
  }),
  workload_certificate_ms: durationMs({ says: 'Life of a certificate issued to a sidecar', min: MINUTE, max: HOUR, default: HOUR }),
  fleet_memory_ms: durationMs({
    says: 'How long a sidecar that is not heard of stays in the fleet, and its instance name and number in the register of workloads',
    min: 2 * HOUR,
    max: 365 * DAY,
    default: 7 * DAY,
  }),
  drain_ms: durationMs({
    says: 'How long an orderly end may take before what is left is cut',
    min: 0,
    max: 10 * MINUTE,
    default: 10 * SECOND,
  }),
  audit,
  limits,
}) as Field<ControlPlaneConfig>;
