/** The sidecar's metrics, made in one place so that the page that lists them has one source. */

import type { ListenerRefusalCode } from '@sallyport/net';
import { createMetrics, type Metrics } from '@sallyport/telemetry';
import type { Leg } from '../pipeline/gate.ts';
import type { Counters } from '../pipeline/ports.ts';

/** What gauges are read from, at the moment of reading. */
export interface Gauges {
  readonly policyAgeMs: () => number | undefined;
  readonly isFresh: () => boolean;
  readonly releaseSeq: () => number | undefined;
  readonly freshnessSeq: () => number;
  readonly backlogRecords: () => number;
  readonly backlogAgeMs: () => number;
  readonly bytesInFlight: () => number;
  readonly sessions: () => number;
}

export interface SidecarMetrics extends Counters {
  readonly metrics: Metrics;
  readonly decisions: number;
  readonly denials: number;
  /** An identity provider's keys could not be fetched; what is held goes on for as long as its age allows. */
  identityKeysFailed(issuer: string): void;
  /** A port turned a connection or a head away by itself. */
  listenerRefused(leg: Leg, code: ListenerRefusalCode): void;
  rejected(code: string): void;
  activated(): void;
  alert(code: string): void;
  credentialAge(credential: string, ageMs: number): void;
  credentialLeak(credential: string, leakMs: number): void;
}

export function sidecarMetrics(gauges: Gauges): SidecarMetrics {
  const metrics = createMetrics();
  // First of all, so that nobody who looks can miss that rules are not enforced.
  const observed = metrics.counter({
    name: 'sallyport_observed_calls_total',
    help: 'Calls that passed although rules refuse them, because their agent is observed, by the code they would have met.',
    labels: ['code'],
  });
  const shadows = metrics.counter({
    name: 'sallyport_shadow_findings_total',
    help: 'Decisions that a rule in shadow would have turned about, by rule and by what it would have done.',
    labels: ['rule', 'would'],
  });
  const decisions = metrics.counter({
    name: 'sallyport_decisions_total',
    help: 'Decisions by outcome, code and the gate that made them.',
    labels: ['decision', 'code', 'gate'],
  });
  const bugs = metrics.counter({ name: 'sallyport_bug_total', help: 'Refusals with code internal: every one is a defect.' });
  const unrecorded = metrics.counter({
    name: 'sallyport_unrecorded_total',
    help: 'Refusals and outcomes that the journal could not keep.',
  });
  const rejections = metrics.counter({
    name: 'sallyport_rejections_total',
    help: 'Signed objects that were refused, by code.',
    labels: ['code'],
  });
  const activations = metrics.counter({ name: 'sallyport_activations_total', help: 'Releases that became the one in force.' });
  const alerts = metrics.counter({ name: 'sallyport_alerts_total', help: 'Alerts, by code.', labels: ['code'] });
  const credentialAges = metrics.gauge({
    name: 'sallyport_credential_age_seconds',
    help: 'Since a credential that calls carry was made, as its source said when it was last looked at.',
    labels: ['credential'],
  });
  const credentialLeaks = metrics.gauge({
    name: 'sallyport_credential_leaked_seconds',
    help: 'How long a value that is known to have leaked has been in use; 0 once it is replaced.',
    labels: ['credential'],
  });
  const seconds = (ms: number | undefined): number | undefined => (ms === undefined ? undefined : ms / 1_000);
  metrics.gaugeFrom({ name: 'sallyport_policy_age_seconds', help: 'Age in force of the active release.' }, () =>
    seconds(gauges.policyAgeMs()),
  );
  metrics.gaugeFrom({ name: 'sallyport_policy_fresh', help: '1 while the active release may be enforced.' }, () =>
    Number(gauges.isFresh()),
  );
  metrics.gaugeFrom({ name: 'sallyport_release_seq', help: 'The release in force.' }, gauges.releaseSeq);
  metrics.gaugeFrom({ name: 'sallyport_freshness_seq', help: 'The last freshness statement accepted.' }, gauges.freshnessSeq);
  metrics.gaugeFrom(
    { name: 'sallyport_audit_backlog_records', help: 'Records that the collector has not acknowledged.' },
    gauges.backlogRecords,
  );
  metrics.gaugeFrom({ name: 'sallyport_audit_backlog_age_seconds', help: 'How long the collector has been behind.' }, () =>
    seconds(gauges.backlogAgeMs()),
  );
  metrics.gaugeFrom({ name: 'sallyport_bytes_in_flight', help: 'Buffered bodies and answers.' }, gauges.bytesInFlight);
  metrics.gaugeFrom({ name: 'sallyport_sessions', help: 'Open sessions.' }, gauges.sessions);
  // Owner: `decision`.
  let [all, denied] = [0, 0];
  return {
    metrics,
    get decisions() {
      return all;
    },
    get denials() {
      return denied;
    },
    decision(decision, code, gate) {
      all += 1;
      if (decision === 'deny') denied += 1;
      decisions.add({ decision, code, gate });
    },
    observed: (code) => observed.add({ code }),
    shadow: (rule, would) => shadows.add({ rule, would }),
    bug: () => bugs.add({}),
    unrecorded: () => unrecorded.add({}),
    ...failuresOf(metrics),
    rejected: (code) => rejections.add({ code }),
    activated: () => activations.add({}),
    alert: (code) => alerts.add({ code }),
    credentialLeak: (credential, leakMs) => credentialLeaks.set({ credential }, leakMs / 1_000),
    credentialAge: (credential, ageMs) => credentialAges.set({ credential }, ageMs / 1_000),
  };
}

/** What went wrong at the sidecar's edges. */
function failuresOf(metrics: Metrics): Pick<SidecarMetrics, 'upstreamFailed' | 'identityKeysFailed' | 'listenerRefused'> {
  const upstreamFailures = metrics.counter({
    name: 'sallyport_upstream_failures_total',
    help: 'Calls that a tool’s server failed, by server and code.',
    labels: ['server', 'code'],
  });
  const identityKeysFailures = metrics.counter({
    name: 'sallyport_identity_keys_failures_total',
    help: 'Fetches of an identity provider’s keys that failed, by issuer.',
    labels: ['issuer'],
  });
  const listenerRefusals = metrics.counter({
    name: 'sallyport_listener_refusals_total',
    help: 'Connections and heads that a port turned away by itself, handshakes that failed among them, by leg and code.',
    labels: ['leg', 'code'],
  });
  return {
    upstreamFailed: (server, code) => upstreamFailures.add({ server, code }),
    identityKeysFailed: (issuer) => identityKeysFailures.add({ issuer }),
    listenerRefused: (leg, code) => listenerRefusals.add({ leg, code }),
  };
}
