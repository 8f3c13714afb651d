import { expect, test } from 'vitest';
import { count, durationMs, filePath, listOf, listenAddress, section, text } from './config-fields.ts';
import { configKeys, schemaTree } from './config-keys.ts';
import { describeConfig } from './config-reference.ts';

const schema = section('A gate', {
  agent: text({ says: 'the agent', charactersMax: 63 }),
  limits: section('what is bounded', { idle_ms: durationMs({ says: 'the longest silence', min: 10, max: 60_000, default: 5_000 }) }),
  key_file: filePath({ says: 'the private key', trusted: 'speak as this gate', default: 'key.pem' }),
  servers: listOf(section('a server', { at: listenAddress({ says: 'where it is' }) }), { says: 'servers', itemsMax: 4 }),
});

test('describes every key with its value, default, meaning and environment name', () => {
  const { markdown } = describeConfig(schema, { title: 'gate.yaml' });
  expect(markdown).toContain('# gate.yaml');
  expect(markdown).toContain('| `agent` | text, at most 63 characters | **required** | The agent. | `SALLYPORT_AGENT` |');
  expect(markdown).toContain('## `limits`\n\nWhat is bounded.');
  expect(markdown).toContain('| `idle_ms` | 10 to 60000 ms | `5000` | The longest silence. | `SALLYPORT_LIMITS_IDLE_MS` |');
  expect(markdown).toContain('The private key. Trusted: whoever can write it can speak as this gate. | `SALLYPORT_KEY_FILE` |');
  expect(markdown).toContain('## `servers[]`\n\nA server.');
  expect(markdown).toContain('| `at` | `address:port` or `unix:path` | **required** | Where it is. |  |');
});

test('gives a JSON Schema that knows keys, ranges and that nothing else is allowed', () => {
  const { jsonSchema } = describeConfig(schema, { title: 'gate.yaml' });
  expect(jsonSchema).toMatchObject({
    title: 'gate.yaml',
    type: 'object',
    required: ['agent'],
    additionalProperties: false,
    properties: { limits: { properties: { idle_ms: { type: 'integer', minimum: 10, maximum: 60_000, default: 5_000 } } } },
  });
});

test('two keys with one environment name are a bug of the schema, not a silent winner', () => {
  const n = count({ says: 'n', unit: 'x', min: 0, max: 1, default: 0 });
  const twins = section('Twins', { a: section('A', { b_c: n }), a_b: section('AB', { c: n }) });
  expect(() => configKeys(schemaTree(twins))).toThrow('share an environment name');
});
