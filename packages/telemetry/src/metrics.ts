/**
 * Counters, gauges and histograms, and their text for Prometheus (text exposition format 0.0.4). Labels are named when a
 * metric is made and its series are counted: one that would pass `seriesMax` is added to the series whose labels all say
 * `other`, so that no caller can grow memory by inventing values.
 */

import { Bug } from '@sallyport/model';

/** The values of a metric's labels; all of them, always. */
export type Labels<L extends string> = Readonly<Record<L, string>>;

export interface MetricOptions<L extends string> {
  /** `sallyport_decisions_total`; letters, digits and `_`. A counter ends in `_total`. */
  readonly name: string;
  /** One line. */
  readonly help: string;
  readonly labels?: readonly L[];
  /** 100 unless said. */
  readonly seriesMax?: number;
}

export interface Counter<L extends string> {
  /** Adds 1, or `by`, which is never negative. */
  add(labels: Labels<L>, by?: number): void;
  /** One series, looked up once; for the hot path. */
  series(labels: Labels<L>): { add(by?: number): void };
}

export interface Gauge<L extends string> {
  set(labels: Labels<L>, value: number): void;
  add(labels: Labels<L>, by: number): void;
}

export interface Histogram<L extends string> {
  observe(labels: Labels<L>, value: number): void;
  series(labels: Labels<L>): { observe(value: number): void };
}

export interface Metrics {
  counter<L extends string = never>(options: MetricOptions<L>): Counter<L>;
  gauge<L extends string = never>(options: MetricOptions<L>): Gauge<L>;
  /** A gauge without labels that is asked when the text is made; `undefined` leaves it out. */
  gaugeFrom(options: { readonly name: string; readonly help: string }, read: () => number | undefined): void;
  /** `buckets` are upper bounds, rising; `+Inf` is added. */
  histogram<L extends string = never>(options: MetricOptions<L> & { readonly buckets: readonly number[] }): Histogram<L>;
  /** The exposition, to be served as `METRICS_CONTENT_TYPE`. */
  text(): string;
}

export const METRICS_CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/** Seconds: from half a millisecond to ten seconds. */
export const LATENCY_BUCKETS_SECONDS: readonly number[] = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

export function createMetrics(): Metrics {
  throw new Bug('to come');
}
