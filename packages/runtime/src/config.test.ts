import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { formatProblem } from '@sallyport/model';
import {
  bytes,
  choice,
  dialAddress,
  durationMs,
  filePath,
  flag,
  listenAddress,
  listOf,
  optional,
  origin,
  section,
  text,
} from './config-fields.ts';
import { type ConfigSources, readConfig, readConfigText } from './config.ts';

const schema = section('A gate', {
  agent: text({ says: 'the agent', charactersMax: 63, pattern: /^[a-z][a-z0-9-]*$/, form: 'a name in lower case' }),
  mode: choice({ says: 'how', of: ['enforce', 'observe'], default: 'enforce' }),
  listen: section('Where it listens', {
    outbound: listenAddress({ says: 'the agent dials here', default: '127.0.0.1:15001' }),
    admin: optional(listenAddress({ says: 'administration' })),
  }),
  limits: section('Bounds', {
    body_bytes_max: bytes({ says: 'the longest body', min: 1, max: 10_000, default: 1_000 }),
    idle_ms: durationMs({ says: 'the longest silence', min: 10, max: 60_000, default: 5_000 }),
  }),
  tls: optional(section('Certificates', { key_file: filePath({ says: 'the private key' }) })),
  state: filePath({ says: 'the folder of its own files', default: 'state' }),
  issuers: listOf(section('An issuer', { url: origin({ says: 'its origin' }), strict: flag({ says: 'strictly', default: true }) }), {
    says: 'who vouches',
    itemsMax: 2,
  }),
  names: listOf(text({ says: 'a name', charactersMax: 5 }), { says: 'names', itemsMax: 3 }),
});

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sallyport-config-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function write(content: string | Uint8Array): string {
  const file = join(folder, 'gate.yaml');
  writeFileSync(file, content);
  return file;
}
function read(content: string, sources: Omit<ConfigSources, 'file'> = {}): ReturnType<typeof readConfig<unknown>> {
  return readConfig<unknown>(schema, { file: write(content), ...sources });
}
function problems(content: string, sources: Omit<ConfigSources, 'file'> = {}): string[] {
  const result = read(content, sources);
  return result.ok ? ['no problem'] : result.error.map((problem) => formatProblem(problem).replace(`${folder}/`, ''));
}

test('fills in every default, makes paths absolute against the file, and freezes all of it', () => {
  const result = readConfig(schema, { file: write('agent: support') });
  expect(result.ok && result.value).toEqual({
    agent: 'support',
    mode: 'enforce',
    listen: { outbound: { kind: 'tcp', host: '127.0.0.1', port: 15001 } },
    limits: { body_bytes_max: 1_000, idle_ms: 5_000 },
    state: join(folder, 'state'),
    issuers: [],
    names: [],
  });
  if (!result.ok) return;
  expect(Object.isFrozen(result.value) && Object.isFrozen(result.value.limits) && Object.isFrozen(result.value.listen.outbound)).toBe(true);
  // The type has what the value has.
  expect(result.value.limits.idle_ms + 1).toBe(5_001);
  expect(result.value.tls?.key_file).toBeUndefined();
});

test('reports every problem at once, in the order of the file, each with line, column, path and remedy', () => {
  const found = problems(
    [
      'agen: support',
      'mode: enfroce',
      'listen:',
      '  outbound: localhost:15001',
      'limits:',
      '  body_bytes_max: 20000',
      '  idle_ms: "5s"',
      '  idel_ms: 5',
      'tls: yes',
      'issuers:',
      '  - url: https://id.company.com/',
      '  - {}',
    ].join('\n'),
  );
  expect(found).toEqual([
    'gate.yaml:1:1: agent: missing (the agent)',
    'gate.yaml:1:1: agen: unknown key `agen` (did you mean `agent`?)',
    'gate.yaml:2:1: mode: expected one of `enforce`, `observe`, not `enfroce` (did you mean `enforce`?)',
    'gate.yaml:4:3: listen.outbound: expected an address to listen on, not `localhost:15001` (write `127.0.0.1:15001`, `[::1]:0` or `unix:/path/to.sock`; names are not resolved)',
    'gate.yaml:6:3: limits.body_bytes_max: expected at most 10000 bytes, not `20000`',
    'gate.yaml:7:3: limits.idle_ms: expected a whole number (ms), not `5s`',
    'gate.yaml:8:3: limits.idel_ms: unknown key `idel_ms` (did you mean `idle_ms`?)',
    'gate.yaml:9:1: tls: expected a group of keys, not `yes`',
    'gate.yaml:11:5: issuers[0].url: expected an origin in its canonical spelling, `http[s]://host[:port]`, without path or default port',
    'gate.yaml:12:5: issuers[1].url: missing (its origin)',
  ]);
});

test.each(['{}', 'roots: []'])('a list that needs an item is missing where it has none: %s', (content) => {
  const path = write(content);
  const wanting = section('A gate', {
    roots: listOf(text({ says: 'a file', charactersMax: 9 }), { says: 'the signed Roots', itemsMax: 3, itemsMin: 1 }),
  });
  const result = readConfig(wanting, { file: path });
  expect(result.ok ? [] : result.error.map(({ path: at, message, remedy }) => [at, message, remedy])).toEqual([
    ['roots', 'missing, or a list without items', 'the signed Roots'],
  ]);
});

describe('precedence: flag over environment over file over default', () => {
  const content = 'agent: support\nlimits: { idle_ms: 11 }';
  const idle = (sources: Omit<ConfigSources, 'file'>): unknown => {
    const result = read(content, sources);
    return result.ok ? (result.value as { limits: { idle_ms: number } }).limits.idle_ms : result.error;
  };
  test('the file over the default', () => expect(idle({})).toBe(11));
  test('the environment over the file', () => expect(idle({ env: { SALLYPORT_LIMITS_IDLE_MS: '12' } })).toBe(12));
  test('a flag over the environment', () =>
    expect(idle({ env: { SALLYPORT_LIMITS_IDLE_MS: '12' }, flags: { 'limits.idle_ms': '13' } })).toBe(13));
  test('a layer may make a group that the file does not have, and a list whole', () => {
    const result = read('agent: support', {
      env: { SALLYPORT_TLS_KEY_FILE: 'key.pem', SALLYPORT_NAMES: '[a, b]', SALLYPORT_AGENT: '123' },
    });
    expect(result.ok ? [] : result.error).toMatchObject([{ path: 'agent' }]);
    const fine = read('agent: support', { env: { SALLYPORT_TLS_KEY_FILE: 'key.pem', SALLYPORT_NAMES: '[a, b]' } });
    expect(fine.ok && fine.value).toMatchObject({ tls: { key_file: join(folder, 'key.pem') }, names: ['a', 'b'] });
  });
});

test('names the variable or the command line as the place of a problem, and refuses what it does not know there', () => {
  const env = {
    SALLYPORT_LIMITS_IDLE_MS: 'soon',
    SALLYPORT_LIMITS_IDLE_M: '5',
    SALLYPORT_NAMES: '[a',
    SALLYPORT_REQUIRE: 'redis',
    SALLYPORT_DIR: 'here',
    SALLYPORT_CONTROL_PLANE_SERVICE_PORT_GRPC: '7443',
    SALLYPORT_CONTROL_PLANE_PORT: 'tcp://10.0.0.1:7443',
    PATH: '/bin',
  };
  expect(problems('agent: support', { env, flags: { 'limits.idel_ms': '5', mode: 'off' } }).toSorted()).toEqual([
    'command line: limits.idel_ms: unknown key `limits.idel_ms` (did you mean `limits.idle_ms`?)',
    'command line: mode: expected one of `enforce`, `observe`, not `off`',
    'environment variable SALLYPORT_LIMITS_IDLE_MS: limits.idle_ms: expected a whole number (ms), not `soon`',
    'environment variable SALLYPORT_NAMES: names: not valid YAML: flow sequence must end with a ]',
    'unknown environment variable `SALLYPORT_LIMITS_IDLE_M` (did you mean `SALLYPORT_LIMITS_IDLE_MS`?)',
  ]);
});

test.each([
  [
    'an alias bomb',
    'a: &a [x]\nb: [*a, *a]\n',
    ['gate.yaml:1:7: anchors are not allowed', 'gate.yaml:2:5: aliases', 'gate.yaml:2:9: aliases'],
  ],
  ['a tag', 'agent: !!str 5', ['gate.yaml:1:14: tags are not allowed']],
  ['a directive that would change what `yes` means', '%YAML 1.1\n---\nagent: yes', ['gate.yaml:1:1: directives']],
  ['a key twice', 'agent: a\nagent: b', ['gate.yaml:2:1: this key stands here twice']],
  ['a second document', 'agent: a\n---\nagent: b', ['gate.yaml:2:1: one file holds one document']],
  ['a key that is no text', '? [a]\n: 1', ['gate.yaml:1:3: a key is text']],
  ['a merge key', 'agent: a\n<<: { mode: observe }', ['gate.yaml:2:1: <<: unknown key `<<`']],
  ['a key that names the prototype', 'agent: a\n__proto__: { mode: observe }', ['gate.yaml:2:1: __proto__: unknown key `__proto__`']],
  ['a tab', 'limits:\n\tidle_ms: 5', ['gate.yaml:2:1: tabs are not allowed']],
  ['a list for the whole', '- a', ['gate.yaml:1:1: expected a group of keys']],
  [
    'no number that YAML 1.1 would read',
    'agent: a\nlimits: { idle_ms: 1_000 }',
    ['gate.yaml:2:11: limits.idle_ms: expected a whole number (ms), not `1_000`'],
  ],
  ['a fraction', 'agent: a\nlimits: { idle_ms: 10.5 }', ['gate.yaml:2:11: limits.idle_ms: expected a whole number (ms), not `10.5`']],
  ['nothing', 'agent:', ['gate.yaml:1:1: agent: expected text, not nothing']],
  ['too many', 'agent: a\nnames: [a, b, c, d]', ['gate.yaml:2:1: names: expected at most 3 items, not a list']],
  ['too long', 'agent: a\nnames: [abcdef]', ['gate.yaml:2:9: names[0]: expected at most 5 characters, not `abcdef`']],
  [
    'a key pasted where its file belongs, without echoing it',
    'agent: a\nstate: "-----BEGIN\\nsecret"',
    ['gate.yaml:2:1: state: expected the path of a file, not its content'],
  ],
])('refuses %s', (_what, content, expected) => {
  const found = problems(content).filter(
    (line) => !/: (a|b|\?|agent): (unknown|missing)/.test(line) || expected.some((part) => line.startsWith(part)),
  );
  expect(found).toHaveLength(expected.length);
  for (const [index, part] of expected.entries()) expect(found[index]).toContain(part);
  expect(found.join()).not.toContain('secret');
});

test('a file that cannot be read hides nothing behind what it would have said', () => {
  expect(problems('agent: [\n')).toHaveLength(1);
});

test('the configuration of another process: each unknown key is named, and what is known here is told once', () => {
  const found = problems('agent: a\nqqqqqqq: 1\nwwwwwww: 2\nzzzzzzz: 3\n');
  expect(found).toHaveLength(3);
  expect(found.filter((line) => line.includes('known here'))).toHaveLength(1);
});

test('refuses a file that is absent, unreadable as text, too long or nested out of all measure', () => {
  const absent = readConfig(schema, { file: join(folder, 'none.yaml') });
  expect(absent.ok ? [] : absent.error[0]?.message).toContain('cannot be read: ENOENT');
  const binary = readConfig(schema, { file: write(new Uint8Array([0x61, 0x3a, 0xff])) });
  expect(binary.ok ? [] : binary.error[0]?.message).toContain('it is not UTF-8');
  expect(problems(`agent: a # ${'x'.repeat(300_000)}`)[0]).toContain('longer than 262144 bytes');
  expect(problems(`agent: ${'['.repeat(100_000)}`)[0]).toContain('nested too deeply');
});

test.each([
  ['127.0.0.1:15001', { kind: 'tcp', host: '127.0.0.1', port: 15001 }],
  ['[::1]:0', { kind: 'tcp', host: '::1', port: 0 }],
  ['unix:/run/a.sock', { kind: 'unix', path: '/run/a.sock' }],
  ['unix:run/a.sock', 'relative'],
  ['0.0.0.0:65535', { kind: 'tcp', host: '0.0.0.0', port: 65535 }],
  ['127.0.0.1', undefined],
  ['127.0.0.1:65536', undefined],
  ['127.0.0.1:015', undefined],
  ['127.0.0.01:15', undefined],
  ['127.1:15', undefined],
  ['256.0.0.1:15', undefined],
  ['2130706433:15', undefined],
  ['localhost:15', undefined],
  [':15', undefined],
  ['::1:15', undefined],
  ['[::1%eth0]:15', undefined],
  ['[::g]:15', undefined],
  ['unix:', undefined],
  ['unix:/a\nb', undefined],
])('listen address %s', (value, expected) => {
  const result = read(`agent: a\nlisten: { outbound: ${JSON.stringify(value)} }`);
  const wanted = expected === 'relative' ? { kind: 'unix', path: join(folder, 'run/a.sock') } : expected;
  expect(result.ok ? (result.value as { listen: { outbound: unknown } }).listen.outbound : undefined).toEqual(wanted);
});

describe('reading one text of another process’s file', () => {
  const textAt = (content: string, key: string): unknown => {
    const found = readConfigText(write(content), key);
    return found.ok ? found.value : found.error.map((problem) => formatProblem(problem).replace(`${folder}/`, ''));
  };

  test('finds it, and judges nothing else', () => {
    expect(textAt('unknown: 1\nlisten: { grpc: "127.0.0.1:1" }\n', 'listen.grpc')).toBe('127.0.0.1:1');
  });

  test.each([
    ['the key is left out', 'a: 1\n'],
    ['the group is left out', ''],
    ['something that is no group stands on the way', 'listen: here\n'],
  ])('answers nothing where %s', (_name, content) => {
    expect(textAt(content, 'listen.grpc')).toBeUndefined();
  });

  test('refuses what is no text, and what is no YAML', () => {
    expect(textAt('listen: { grpc: 7 }\n', 'listen.grpc')).toEqual(['gate.yaml:1:11: listen.grpc: expected text']);
    expect(textAt('listen: &a 1\n', 'listen.grpc')).toHaveLength(1);
  });
});

test.each([
  ['control-plane.sallyport.svc:7443', { host: 'control-plane.sallyport.svc', port: 7443 }],
  ['localhost:1', { host: 'localhost', port: 1 }],
  ['127.0.0.1:7443', { host: '127.0.0.1', port: 7443 }],
  ['[::1]:65535', { host: '::1', port: 65535 }],
  ['localhost', undefined],
  ['localhost:0', undefined],
  ['localhost:07443', undefined],
  ['localhost:65536', undefined],
  ['127.0.0.1:0', undefined],
  ['unix:/run/a.sock', undefined],
  ['https://control-plane:7443', undefined],
  ['control-plane:7443/path', undefined],
  ['user@control-plane:7443', undefined],
  ['Control-Plane:7443', undefined],
  ['control_plane:7443', undefined],
  ['-a:7443', undefined],
  ['a..b:7443', undefined],
  ['2130706433:7443', undefined],
  ['0x7f.1:7443', undefined],
  ['127.0x1:7443', undefined],
])('an address to dial: %s', (value, expected) => {
  const result = readConfig(section('s', { at: dialAddress({ says: 'where it is' }) }), { file: write(`at: "${value}"`) });
  expect(result.ok ? result.value.at : undefined).toEqual(expected);
});
