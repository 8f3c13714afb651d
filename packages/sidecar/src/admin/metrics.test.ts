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

  it('begin with the calls that pass although rules refuse them', () => {
    const metrics = sidecarMetrics(GAUGES);
    metrics.observed('insufficient_scope');
    metrics.shadow('tight', 'deny');
    const lines = metrics.metrics.text().split('\n');
    expect(lines[0]).toMatch(/^# HELP sallyport_observed_calls_total /);
    expect(lines).toContain('sallyport_observed_calls_total{code="insufficient_scope"} 1');
    expect(lines).toContain('sallyport_shadow_findings_total{rule="tight",would="deny"} 1');
  });

  it('do not grow with what a caller or a control plane invents', () => {
    const metrics = sidecarMetrics(GAUGES);
    for (let i = 0; i < 10_000; i++) {
      metrics.decision('deny', `code-${i}`, `gate-${i}`);
      metrics.rejected(`code-${i}`);
      metrics.alert(`code-${i}`);
      metrics.observed(`code-${i}`);
      metrics.shadow(`rule-${i}`, 'deny');
    }
    expect(metrics.metrics.text().length).toBeLessThan(60_000);
  });
});
