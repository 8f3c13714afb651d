/**
 * Counters, gauges and histograms, and their text for Prometheus (text exposition format 0.0.4). Labels are named when a
 * metric is made and its series are counted: one that would pass `seriesMax` is added to the series whose labels all say
 * `other`, so that no caller can grow memory by inventing values.
 */

import { invariant } from '@sallyport/model';
import { headLines, isLabelName, isMetricName, labelsText, numberText, sampleLine } from './exposition.ts';

/** The values of a metric's labels; all of them, always. */
export type Labels<L extends string> = Readonly<Record<L, string>>;

export interface MetricOptions<L extends string> {
  /** `sallyport_decisions_total`; letters, digits and `_`. A counter ends in `_total`, and nothing else does. */
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
  /** One series, looked up once; for the hot path. */
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

const SERIES_MAX = 100;
const OTHER = 'other';

/** The metrics of one process. A name given twice, or one that Prometheus would refuse, is a Bug. */
export function createMetrics(): Metrics {
  // Owner: this registry. What each metric writes, in the order in which they were made.
  const writers = new Map<string, () => string>();
  const claimed = new Set<string>();

  const claim = (name: string, samples: readonly string[], write: () => string): void => {
    invariant(isMetricName(name), `\`${name}\` is a metric name`);
    for (const sample of samples) {
      invariant(!claimed.has(sample), `the metric \`${sample}\` exists once`);
      claimed.add(sample);
    }
    writers.set(name, write);
  };

  const counter = <L extends string>(options: MetricOptions<L>): Counter<L> => {
    invariant(options.name.endsWith('_total'), `the counter \`${options.name}\` ends in _total`);
    const family = numbers(options);
    claim(options.name, [options.name], () => headLines(options.name, options.help, 'counter') + family.text());
    const add = (cell: Cell, by = 1): void => {
      invariant(by >= 0, 'a counter only rises');
      cell.value += by;
    };
    return {
      add: (labels, by) => add(family.at(labels), by),
      series(labels) {
        const cell = family.at(labels);
        return { add: (by) => add(cell, by) };
      },
    };
  };

  const gauge = <L extends string>(options: MetricOptions<L>): Gauge<L> => {
    invariant(!options.name.endsWith('_total'), `the gauge \`${options.name}\` does not end in _total`);
    const family = numbers(options);
    claim(options.name, [options.name], () => headLines(options.name, options.help, 'gauge') + family.text());
    return {
      set(labels, value) {
        family.at(labels).value = value;
      },
      add(labels, by) {
        family.at(labels).value += by;
      },
    };
  };

  const histogram = <L extends string>(options: MetricOptions<L> & { readonly buckets: readonly number[] }): Histogram<L> => {
    const { name, help, buckets } = options;
    invariant(
      buckets.length > 0 && buckets.every((bound, i) => i === 0 || bound > (buckets[i - 1] ?? bound)),
      `the buckets of \`${name}\` rise`,
    );
    invariant(!(options.labels as readonly string[] | undefined)?.includes('le'), '`le` is the label of buckets');
    const family = seriesOf(options, () => ({ counts: buckets.map(() => 0), sum: 0, count: 0 }));
    const write = (labels: string, { counts, sum, count }: Distribution): string =>
      histogramText(name, labels, { buckets, counts, sum, count });
    claim(name, [name, `${name}_bucket`, `${name}_sum`, `${name}_count`], () => headLines(name, help, 'histogram') + family.text(write));
    const observe = (into: Distribution, value: number): void => {
      const bucket = buckets.findIndex((bound) => value <= bound);
      if (bucket >= 0) into.counts[bucket] = (into.counts[bucket] ?? 0) + 1;
      into.sum += value;
      into.count += 1;
    };
    return {
      observe: (labels, value) => observe(family.at(labels), value),
      series(labels) {
        const into = family.at(labels);
        return { observe: (value) => observe(into, value) };
      },
    };
  };

  return {
    counter,
    gauge,
    histogram,
    gaugeFrom({ name, help }, read) {
      claim(name, [name], () => {
        const value = read();
        return value === undefined ? '' : headLines(name, help, 'gauge') + sampleLine(name, '', value);
      });
    },
    text: () => [...writers.values()].map((write) => write()).join(''),
  };
}

interface Cell {
  value: number;
}

interface Distribution {
  /** Per bucket, not cumulative; what is above the last is in `count` alone. */
  readonly counts: number[];
  sum: number;
  count: number;
}

interface Family<L extends string, S> {
  at(labels: Labels<L>): S;
  text(write: (labels: string, series: S) => string): string;
}

/** The series of one metric by the values of its labels, never more than allowed and one. */
function seriesOf<L extends string, S>(options: MetricOptions<L>, make: () => S): Family<L, S> {
  const { name, labels: names = [], seriesMax = SERIES_MAX } = options;
  for (const label of names) invariant(isLabelName(label), `\`${label}\` of \`${name}\` is a label name`);
  const held = new Map<string, { readonly labels: string; readonly series: S }>();
  const open = (values: readonly string[]): S => {
    const key = values.join('\0');
    const found = held.get(key);
    if (found !== undefined) return found.series;
    const others = names.map(() => OTHER);
    if (held.size >= seriesMax && key !== others.join('\0')) return open(others);
    const series = make();
    held.set(key, { labels: labelsText(names, values), series });
    return series;
  };
  // Without labels there is one series, and it exists from the start: absent and zero are not the same to an alert.
  if (names.length === 0) open([]);
  return {
    at: (labels) => open(names.map((label) => labels[label])),
    text: (write) => [...held.values()].map(({ labels, series }) => write(labels, series)).join(''),
  };
}

function numbers<L extends string>(options: MetricOptions<L>): { at(labels: Labels<L>): Cell; text(): string } {
  const family = seriesOf<L, Cell>(options, () => ({ value: 0 }));
  return { at: (labels) => family.at(labels), text: () => family.text((labels, cell) => sampleLine(options.name, labels, cell.value)) };
}

function histogramText(name: string, labels: string, series: Distribution & { readonly buckets: readonly number[] }): string {
  const within = (bound: string): string => `${labels === '' ? '' : `${labels},`}le="${bound}"`;
  let cumulative = 0;
  const buckets = series.buckets.map((bound, i) => {
    cumulative += series.counts[i] ?? 0;
    return sampleLine(`${name}_bucket`, within(numberText(bound)), cumulative);
  });
  return [
    ...buckets,
    sampleLine(`${name}_bucket`, within('+Inf'), series.count),
    sampleLine(`${name}_sum`, labels, series.sum),
    sampleLine(`${name}_count`, labels, series.count),
  ].join('');
}
