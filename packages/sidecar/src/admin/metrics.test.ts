import { describe, expect, it } from 'vitest';
import { sidecarMetrics, type Gauges } from './metrics.ts';

const GAUGES: Gauges = {
  policyAgeMs: () => 1_500,
  isFresh: () => true,
  releaseSeq: () => undefined,
  freshnessSeq: () => 3,
  backlogRecords: () => 2,
  backlogAgeMs: () => 4_000,
  bytesInFlight: () => 9,
  sessions: () => 1,
};

describe('the sidecar’s metrics', () => {
  it('count decisions by what they were, and tell heartbeats how many', () => {
    const metrics = sidecarMetrics(GAUGES);
    metrics.decision('allow', '-', 'accountability');
    metrics.decision('deny', 'tool_not_allowed', 'tool');
    metrics.decision('deny', 'tool_not_allowed', 'tool');
    expect([metrics.decisions, metrics.denials]).toEqual([3, 2]);
    expect(metrics.metrics.text()).toContain('sallyport_decisions_total{decision="deny",code="tool_not_allowed",gate="tool"} 2\n');
  });

  it('exist from the start where an alert looks for them, and read gauges when asked', () => {
    const text = sidecarMetrics(GAUGES).metrics.text();
    for (const line of [
      'sallyport_bug_total 0',
      'sallyport_unrecorded_total 0',
      'sallyport_policy_age_seconds 1.5',
      'sallyport_policy_fresh 1',
    ])
      expect(text).toContain(`\n${line}\n`);
    expect(text).not.toContain('sallyport_release_seq ');
  });

  it('do not grow with what a caller or a control plane invents', () => {
    const metrics = sidecarMetrics(GAUGES);
    for (let i = 0; i < 10_000; i++) {
      metrics.decision('deny', `code-${i}`, `gate-${i}`);
      metrics.rejected(`code-${i}`);
      metrics.alert(`code-${i}`);
    }
    expect(metrics.metrics.text().length).toBeLessThan(60_000);
  });
});
