import { spawnSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { createMetrics, type Metrics } from './metrics.ts';

interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}
interface Parsed {
  readonly types: ReadonlyMap<string, string>;
  readonly help: ReadonlyMap<string, string>;
  readonly samples: readonly Sample[];
}

/** Reads text exposition format 0.0.4 by its own grammar, and throws at the first line that does not fit. */
function parse(text: string): Parsed {
  if (!text.endsWith('\n')) throw new Error('the last line must end in a line feed');
  const types = new Map<string, string>();
  const help = new Map<string, string>();
  const samples: Sample[] = [];
  const seen = new Set<string>();
  for (const line of text.slice(0, -1).split('\n')) {
    const head = /^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.*)$/.exec(line);
    if (head !== null) {
      const [, kind, name = '', rest = ''] = head;
      const table = kind === 'HELP' ? help : types;
      if (table.has(name) || samples.some((sample) => familyOf(sample.name, types) === name)) throw new Error(`late or double: ${line}`);
      table.set(name, kind === 'HELP' ? unescaped(rest) : rest);
      continue;
    }
    const match = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\n"])*",?)*)\})? (\S+)$/.exec(line);
    if (match === null) throw new Error(`not a sample: ${line}`);
    const [, name = '', labelText = '', valueText = ''] = match;
    const labels: Record<string, string> = {};
    for (const [, key = '', value = ''] of labelText.matchAll(/([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\n"])*)"/g))
      labels[key] = unescaped(value);
    const series = `${name} ${JSON.stringify(labels)}`;
    if (seen.has(series)) throw new Error(`double series: ${line}`);
    seen.add(series);
    if (!types.has(familyOf(name, types))) throw new Error(`no type: ${line}`);
    samples.push({ name, labels, value: valueText === '+Inf' ? Infinity : valueText === '-Inf' ? -Infinity : Number(valueText) });
  }
  return { types, help, samples };
}
function familyOf(name: string, types: ReadonlyMap<string, string>): string {
  const base = name.replace(/_(bucket|sum|count)$/, '');
  return types.get(base) === 'histogram' ? base : name;
}
const unescaped = (text: string): string =>
  text.replaceAll(/\\([\\n"])/g, (_all, character: string) => (character === 'n' ? '\n' : character));

function everything(): Metrics {
  const metrics = createMetrics();
  const decisions = metrics.counter({ name: 'sallyport_decisions_total', help: 'Decisions by code', labels: ['decision', 'code'] });
  decisions.add({ decision: 'deny', code: 'schema_violation' });
  decisions.add({ decision: 'allow', code: '' }, 3);
  decisions.series({ decision: 'deny', code: 'schema_violation' }).add(2);
  metrics.counter({ name: 'sallyport_bugs_total', help: 'Broken promises' });
  const sessions = metrics.gauge({ name: 'sallyport_sessions', help: 'Sessions' });
  sessions.set({}, 5);
  sessions.add({}, -2);
  metrics.gaugeFrom({ name: 'sallyport_policy_age_seconds', help: 'Age' }, () => 1.5);
  metrics.gaugeFrom({ name: 'sallyport_absent', help: 'Never' }, () => undefined);
  const latency = metrics.histogram({ name: 'sallyport_call_seconds', help: 'Time', labels: ['effect'], buckets: [0.1, 1] });
  for (const value of [0.05, 0.1, 0.5, 7]) latency.observe({ effect: 'read' }, value);
  latency.series({ effect: 'write' }).observe(0.2);
  return metrics;
}

test('writes what a Prometheus server reads back', () => {
  const { types, help, samples } = parse(everything().text());
  expect(Object.fromEntries(types)).toEqual({
    sallyport_decisions_total: 'counter',
    sallyport_bugs_total: 'counter',
    sallyport_sessions: 'gauge',
    sallyport_policy_age_seconds: 'gauge',
    sallyport_call_seconds: 'histogram',
  });
  expect(help.get('sallyport_call_seconds')).toBe('Time');
  const of = (name: string): readonly unknown[] =>
    samples.filter((sample) => sample.name === name).map(({ labels, value }) => [labels, value]);
  expect(of('sallyport_decisions_total')).toEqual([
    [{ decision: 'deny', code: 'schema_violation' }, 3],
    [{ decision: 'allow', code: '' }, 3],
  ]);
  expect(of('sallyport_bugs_total')).toEqual([[{}, 0]]);
  expect(of('sallyport_sessions')).toEqual([[{}, 3]]);
  expect(of('sallyport_policy_age_seconds')).toEqual([[{}, 1.5]]);
});

test('a histogram counts a value into its bucket and every higher one, a bound included', () => {
  const { samples } = parse(everything().text());
  const read = samples
    .filter((sample) => sample.labels['effect'] === 'read')
    .map(({ name, labels, value }) => [name.slice(23), labels['le'], value]);
  expect(read).toEqual([
    ['bucket', '0.1', 2],
    ['bucket', '1', 3],
    ['bucket', '+Inf', 4],
    ['sum', undefined, 7.65],
    ['count', undefined, 4],
  ]);
});

test.each(['a "quoted" value', 'back\\slash', 'line\nfeed', '\\n is not a line feed', 'ünïcödé 🏰', '}{,="'])(
  'a label value survives: %j',
  (value) => {
    const metrics = createMetrics();
    metrics.counter({ name: 'a_total', help: 'two\nlines \\ "quoted"', labels: ['b'] }).add({ b: value });
    const { help, samples } = parse(metrics.text());
    expect(samples).toEqual([{ name: 'a_total', labels: { b: value }, value: 1 }]);
    expect(help.get('a_total')).toBe('two\nlines \\ "quoted"');
  },
);

test.each([
  [Infinity, '+Inf'],
  [-Infinity, '-Inf'],
  [Number.NaN, 'NaN'],
  [1e21, '1e+21'],
  [-0.5, '-0.5'],
])('the value %d is written %s', (value, text) => {
  const metrics = createMetrics();
  metrics.gauge({ name: 'a', help: 'h' }).set({}, value);
  expect(metrics.text()).toContain(`\na ${text}\n`);
});

test('a flood of invented label values ends in one series that says `other`, and nothing is lost from the sum', () => {
  const metrics = createMetrics();
  const counter = metrics.counter({ name: 'a_total', help: 'h', labels: ['path', 'method'], seriesMax: 3 });
  for (let i = 0; i < 1_000; i++) counter.add({ path: `/${i}`, method: 'GET' });
  counter.add({ path: '/1', method: 'GET' });
  const { samples } = parse(metrics.text());
  expect(samples.map(({ labels, value }) => [labels['path'], labels['method'], value])).toEqual([
    ['/0', 'GET', 1],
    ['/1', 'GET', 2],
    ['/2', 'GET', 1],
    ['other', 'other', 997],
  ]);
});

test('values that differ only in where they are split are two series', () => {
  const metrics = createMetrics();
  const counter = metrics.counter({ name: 'a_total', help: 'h', labels: ['x', 'y'] });
  counter.add({ x: 'a', y: 'bc' });
  counter.add({ x: 'ab', y: 'c' });
  expect(parse(metrics.text()).samples).toHaveLength(2);
});

describe('a metric that Prometheus would refuse is a bug when it is made', () => {
  test.each<[string, (metrics: Metrics) => unknown]>([
    ['a name with a hyphen', (metrics) => metrics.gauge({ name: 'a-b', help: 'h' })],
    ['a label with a hyphen', (metrics) => metrics.gauge({ name: 'a', help: 'h', labels: ['b-c'] })],
    ['a reserved label', (metrics) => metrics.gauge({ name: 'a', help: 'h', labels: ['__b'] })],
    ['a counter without its ending', (metrics) => metrics.counter({ name: 'a', help: 'h' })],
    ['a gauge with the ending of a counter', (metrics) => metrics.gauge({ name: 'a_total', help: 'h' })],
    ['a name twice', (metrics) => [metrics.gauge({ name: 'a', help: 'h' }), metrics.gauge({ name: 'a', help: 'h' })]],
    [
      'a name that a histogram writes',
      (metrics) => [metrics.histogram({ name: 'a', help: 'h', buckets: [1] }), metrics.gauge({ name: 'a_sum', help: 'h' })],
    ],
    ['buckets that do not rise', (metrics) => metrics.histogram({ name: 'a', help: 'h', buckets: [1, 1] })],
    ['a histogram with the label of buckets', (metrics) => metrics.histogram({ name: 'a', help: 'h', labels: ['le'], buckets: [1] })],
  ])('%s', (_what, make) => expect(() => make(createMetrics())).toThrow());

  test('a counter that is told to fall', () => {
    expect(() => createMetrics().counter({ name: 'a_total', help: 'h' }).add({}, -1)).toThrow('only rises');
    expect(() => createMetrics().counter({ name: 'a_total', help: 'h' }).add({}, Number.NaN)).toThrow('only rises');
  });
});

test('promtool finds nothing wrong', (context) => {
  const found = spawnSync('promtool', ['--version']).error === undefined;
  if (!found) {
    console.info('not run: needs promtool');
    context.skip('needs promtool');
  }
  const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], { input: everything().text(), encoding: 'utf8' });
  expect([status, stdout, stderr]).toEqual([0, '', '']);
});
