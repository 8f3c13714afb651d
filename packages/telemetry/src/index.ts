/** What a process says of itself: metrics and its log. */

export { createMetrics, LATENCY_BUCKETS_SECONDS, METRICS_CONTENT_TYPE } from './metrics.ts';
export type { Counter, Gauge, Histogram, Labels, MetricOptions, Metrics } from './metrics.ts';
export { createLog, LOG_LEVELS } from './log.ts';
export type { Log, LogFields, LogLevel, LogOptions } from './log.ts';
