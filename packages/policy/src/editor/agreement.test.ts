import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, test } from 'vitest';
import type { AgentName, Json, JsonObject } from '@sallyport/model';
import { environmentValues } from '../check/environment.ts';
import { parseDocuments } from '../compile/documents.ts';
import { server, tool } from '../grammar/catalog.ts';
import { callerMethod } from '../grammar/caller-method.ts';
import { credential } from '../grammar/credential.ts';
import { trustDomain } from '../grammar/delegation.ts';
import { agent, issuer } from '../grammar/identity.ts';
import { observe } from '../grammar/observe.ts';
import { toolOverlay } from '../grammar/overlay.ts';
import { concerned, ruleOf } from '../grammar/rule.ts';
import { testOf } from '../grammar/test-suite.ts';
import { Problems, nodeOfJson } from '../reader/node.ts';
import { fields, formatSpan, list, text } from '../reader/read.ts';
import type { Reader } from '../reader/read.ts';
import { EXAMPLE_KEYS } from './example.ts';
import { examplesOf, isMap } from './examples.ts';
import { policySchema } from './json-schema.ts';
import { KIND_SHAPES } from './kinds.ts';
import type { Field, MapShape, Shape } from './shape.ts';

const AGENT = 'support-triage' as AgentName;
const KEYS = nodeOfJson((JSON.parse(EXAMPLE_KEYS) as JsonObject)['keys'] ?? null, 'keys');

const READERS: Readonly<Record<string, Reader<unknown>>> = {
  Agent: agent,
  ToolServer: server,
  Tool: tool,
  ToolOverlay: toolOverlay,
  Issuer: issuer(() => KEYS),
  TrustDomain: trustDomain,
  CallerMethod: callerMethod,
  Credential: credential,
  Environment: (node, problems) => {
    const declared = fields(node, problems, 'an Environment', ['name', 'values!']);
    declared?.get('name', text('a name'));
    return declared?.get('values', environmentValues);
  },
  Policy: (node, problems) => {
    const declared = fields(node, problems, 'a Policy', ['agent', 'agents', 'rules!']);
    const whose = declared === undefined ? undefined : concerned('a Policy', declared, problems);
    return whose && declared?.get('rules', list('`rules`', ruleOf(whose), { min: 1 }));
  },
  Observe: observe,
  Test: testOf(AGENT),
};

/** Strict: a keyword that no list names would be a word that no editor understands. */
const ajv = new Ajv2020({ strict: true, strictRequired: false, allowUnionTypes: true, strictTypes: false });
for (const word of ['markdownDescription', 'markdownEnumDescriptions', 'patternErrorMessage', 'defaultSnippets']) ajv.addKeyword(word);
const validate = ajv.compile(policySchema());
const EXAMPLES = examplesOf();

function isRead(kind: string, document: JsonObject): boolean {
  const problems = new Problems();
  const value = READERS[kind]?.(nodeOfJson(document, ''), problems);
  return value !== undefined && problems.count === 0;
}

/** One document that differs from a good one in one place. */
interface Probe {
  readonly kind: string;
  readonly place: string;
  readonly shape: Shape;
  readonly value: Json;
  readonly document: JsonObject;
}

type Rebuild = (value: Json) => JsonObject;

/** The least that a map holds, beside a field that is looked at. */
function least(shape: MapShape, beside?: string): JsonObject {
  const pick = (names: readonly string[] | undefined): readonly string[] =>
    names === undefined || (beside !== undefined && names.includes(beside)) ? [] : names.slice(0, 1);
  const wanted = new Set([...pick(shape.exactlyOne), ...pick(shape.atLeastOne)]);
  const held = Object.entries(shape.fields).filter(([name, field]) => name !== beside && (field.isRequired === true || wanted.has(name)));
  return Object.fromEntries(held.map(([name, field]) => [name, exampleOf(field)]));
}

function exampleOf(field: Field): Json {
  const value = EXAMPLES.values.get(field);
  if (value === undefined) throw new Error(`no example of a field that ${field.says}`);
  // What compares lists expects objects with a prototype.
  return structuredClone(value);
}

/** Of a CA that signed nothing. */
const CA = `-----BEGIN CERTIFICATE-----
MIIBujCCAWGgAwIBAgIQXtwZNDDDxSPyebQ+UXVcKjAKBggqhkjOPQQDAjArMRIw
EAYDVQQKDAlTYWxseXBvcnQxFTATBgNVBAMMDGFjbWUuZXhhbXBsZTAeFw0yNjAx
MDEwMDAwMDBaFw0zNTEyMzAwMDAwMDBaMCsxEjAQBgNVBAoMCVNhbGx5cG9ydDEV
MBMGA1UEAwwMYWNtZS5leGFtcGxlMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE
X5IxcCmzXBNEqq0wMz/5SOGeGvqhqR7VF6wvQzNpmTD4BhCXoU9LTknbbHkllqZ5
wXYodxJxwZlWtKhlUXd31KNnMGUwEgYDVR0TAQH/BAgwBgEB/wIBADAOBgNVHQ8B
Af8EBAMCAQYwIAYDVR0RBBkwF4YVc3BpZmZlOi8vYWNtZS5leGFtcGxlMB0GA1Ud
DgQWBBSgdABKzP1LIQ4G44Dpxbq9VKZRoDAKBggqhkjOPQQDAgNHADBEAiA4NTIQ
5QQLh2gbRhxovAXBgBt+nbmwsutdCa7Ox3sd7AIgfuoqFjOF8GzV4bYkU2x49PVp
m0SP3k9qEA/54aLmUXM=
-----END CERTIFICATE-----`;

const WORDS = `a A ab a-b a_b 1 1a -a a. a/b a/b/c A/b a/ /a a/* a/b* a/*b * /a/{b} /a/.. /{b}c // /a/ /. /... default-deny for null true in
fora ä \${env.x} \${env.X} a\${b 09:00 24:00 24:01 9:00 25:00 23:60 +01:00 -14:59 +15:00 01:00 2026-06-30T00:00:00Z 2026-06-30T00:00:00.000Z
2026-06-30T00:00:00.5Z 2026-06-30 2026-06-30T24:00:00Z 2026-13-01T00:00:00Z 2026-06-30T00:00:00+01:00 -1 1.5 -0 01 +1 1e3 .5 5. NaN Infinity
-Infinity args.a args.a.b args args. args[] args[].a args.1 result.a result[].a 1s 0s 15m 8h 400d 01h 1w 1.5h -1s 10000000000s read GET mon
operator EC API_access full-access ALL any a.l.l`;
/** What fields take, what they nearly take, and what they must not. */
const TEXTS: readonly string[] = [
  CA,
  ...WORDS.split(/\s+/),
  '',
  ' ',
  'a b',
  'a\nb',
  'a\u200Bb',
  '\u0430',
  'b\u0430',
  'b\u03B1\u0430',
  'b\u3164',
  'b\uFE0F',
  'e\u0301',
  '\u00E9',
  '\u{1F600}',
  '1 h',
  ...[63, 64, 128, 129, 255, 256, 257].flatMap((length) => ['a'.repeat(length), `a/${'b'.repeat(length)}`]),
  ...[16, 17].map((steps) => `args${'.a'.repeat(steps)}`),
  ...[38, 39].map((digits) => '9'.repeat(digits)),
  ...[2_000, 2_001, 4_096, 4_097].map((length) => 'a'.repeat(length)),
];
const WRONG: readonly Json[] = [null, true, false, 0, 1, 2, -1, 1.5, 101, 1_000_000, 1_000_001, [], {}, [[]], [null], [{}], { a: null }];

function* probesOf(kind: string, shape: Shape, rebuild: Rebuild, place: string): Generator<Probe> {
  const probe = (value: Json): Probe => ({ kind, place, shape, value, document: rebuild(value) });
  // What stands below is looked at by itself.
  for (const value of [...WRONG, ...TEXTS]) yield probe(value);
  if (shape.is === 'word') for (const word of shape.of) for (const value of [word, `${word}x`, word.toUpperCase()]) yield probe(value);
  if (shape.is === 'count') for (const value of [shape.min, shape.max, shape.min - 1, shape.max + 1, String(shape.max)]) yield probe(value);
  if (shape.is === 'span') for (const ms of [shape.msMax, shape.msMax + 1_000]) yield probe(formatSpan(ms));
  if (shape.is === 'either') for (const one of shape.of) yield* probesOf(kind, one, rebuild, place);
  if (shape.is === 'list') {
    const items = [...probesOf(kind, shape.of, (value) => rebuild([value]), `${place}[]`)];
    yield* items;
    const good = items.find((one) => isRead(kind, acrossAgents(one)));
    if (good === undefined) throw new Error(`${place} takes nothing`);
    if (shape.max <= 10_000) for (const length of [shape.max, shape.max + 1]) yield probe(Array.from({ length }, () => good.value));
    yield probe([good.value, good.value]);
  }
  if (shape.is === 'names') {
    const below = [...probesOf(kind, shape.of, (value) => rebuild({ word: value }), `${place}.*`)];
    yield* below;
    const good = below.find(({ kind, document }) => isRead(kind, document));
    if (good === undefined) throw new Error(`${place} takes nothing`);
    // No YAML has an empty key.
    for (const key of TEXTS) if (key !== '') yield probe({ [key]: good.value });
    for (const length of [shape.max, shape.max + 1])
      yield probe(Object.fromEntries(Array.from({ length }, (_, index) => [`w${index}`, good.value])));
  }
  if (shape.is === 'map') yield* probesOfMap(kind, shape, rebuild, place);
}

function* probesOfMap(kind: string, shape: MapShape, rebuild: Rebuild, place: string): Generator<Probe> {
  const probe = (value: Json): Probe => ({ kind, place, shape, value, document: rebuild(value) });
  const base = least(shape);
  const [one = 'x'] = Object.keys(base);
  for (const unknown of ['x', `${one}s`, one.toUpperCase(), '__proto__', 'constructor', 'apiversion', 'Kind'])
    yield probe({ ...base, [unknown]: base[one] ?? 'x' });
  for (const name of Object.keys(base)) yield probe(Object.fromEntries(Object.entries(base).filter(([other]) => other !== name)));
  const names = Object.keys(shape.fields);
  for (const name of names) {
    const field = shape.fields[name];
    if (field === undefined) continue;
    // Each beside each: which exclude each other, and which need each other.
    for (const other of names) {
      const beside = shape.fields[other];
      if (beside !== undefined && other !== name)
        yield probe({ ...least(shape, name), [other]: exampleOf(beside), [name]: exampleOf(field) });
    }
    yield* probesOf(
      kind,
      field.shape,
      (value) => rebuild({ ...least(shape, name), [name]: value }),
      place === '' ? name : `${place}.${name}`,
    );
  }
}

/** Across agents nothing is allowed: a Policy whose `agents` are looked at has a rule that denies. */
function acrossAgents({ kind, place, document }: Probe): JsonObject {
  return kind === 'Policy' && place.startsWith('agents') ? { ...document, rules: [{ id: 'no', deny: ['a/b'] }] } : document;
}

/** Every map below a shape, with how to make a document around a value of it. */
function* mapsAt(shape: Shape, rebuild: Rebuild): Generator<{ readonly map: MapShape; readonly around: Rebuild }> {
  if (shape.is === 'list') yield* mapsAt(shape.of, (value) => rebuild([value]));
  if (shape.is === 'names') yield* mapsAt(shape.of, (value) => rebuild({ word: value }));
  if (shape.is === 'either') for (const one of shape.of) yield* mapsAt(one, rebuild);
  if (shape.is !== 'map') return;
  yield { map: shape, around: rebuild };
  for (const [name, field] of Object.entries(shape.fields))
    yield* mapsAt(field.shape, (value) => rebuild({ ...least(shape, name), [name]: value }));
}

interface Gap {
  readonly why: string;
  readonly fits: (probe: Probe, isReadable: boolean) => boolean;
}

/** Every way in which the two may differ: schema looser where the reader says no, stricter where it says yes. */
const GAPS: readonly Gap[] = [
  { why: 'a quoted whole number', fits: ({ shape, value }, isReadable) => isReadable && shape.is === 'count' && typeof value === 'string' },
  {
    why: 'an allow rule across agents',
    fits: ({ kind, document }, isReadable) =>
      !isReadable && kind === 'Policy' && document['agents'] !== undefined && JSON.stringify(document['rules']).includes('"allow"'),
  },
  {
    why: 'a span above its maximum',
    fits: ({ shape, value }, isReadable) => !isReadable && shape.is === 'span' && /^[1-9][0-9]*[smhd]$/.test(value as string),
  },
  {
    why: 'two values against each other: idle and max',
    fits: ({ place }, isReadable) => !isReadable && /^sessions(\.(idle|max))?$/.test(place),
  },
  {
    why: 'two values against each other: from and until',
    fits: ({ kind, place }, isReadable) => !isReadable && kind === 'Observe' && /^(from|until)$/.test(place),
  },
  { why: 'two values against each other: from and to', fits: ({ place }, isReadable) => !isReadable && /hours\.(from|to)$/.test(place) },
  { why: 'a base URL beyond being text', fits: ({ place }, isReadable) => !isReadable && /^values\.\*\.url$/.test(place) },
  {
    why: 'a certificate of an authority; authorities: workload without an identity',
    fits: ({ place }, isReadable) => !isReadable && /^tls(\.authorities(\[\])?)?$/.test(place),
  },
  { why: 'two jobs of one name', fits: ({ place }, isReadable) => !isReadable && place === 'sessions.jobs' },
  { why: 'a point of the curve', fits: ({ place }, isReadable) => !isReadable && /^keys\[\](\.[xy])?$/.test(place) },
  {
    why: 'a key of its algorithm, and bytes in base64url',
    fits: ({ kind, place }, isReadable) =>
      !isReadable &&
      kind === 'CallerMethod' &&
      /^(?:http_signature\.keys\[\]|kubernetes\.keys\[\]|api_key\.keys\[\])(?:\.\w+)?$/.test(place),
  },
  { why: 'PEM beyond being text', fits: ({ place }, isReadable) => !isReadable && /^mtls\.(?:authorities|revocation_lists)$/.test(place) },
  {
    why: 'two headers against each other',
    fits: ({ place, value }, isReadable) => !isReadable && place.startsWith('hmac.headers') && value === 'x-shop-signature',
  },
  { why: 'combining characters', fits: ({ value }, isReadable) => !isReadable && value === 'e\u0301' },
  {
    why: 'digits of a decimal in all, or how a number was spelled',
    fits: ({ shape, value }, isReadable) => value === '-0' || (shape.is === 'number' && (typeof value === 'number' || !isReadable)),
  },
  {
    why: 'an argument schema: what stands together is for the build to say',
    fits: ({ shape }) => shape.is === 'schema',
  },
];

describe('the schema for editors and the readers of documents say the same of', () => {
  test.each(KIND_SHAPES.map((kind) => [kind.name, kind] as const))('%s', (name, { shape }) => {
    const differing: string[] = [];
    let [accepted, refused] = [0, 0];
    for (const probe of probesOf(name, shape, (value) => (isMap(value) ? value : { value }), '')) {
      if (probe.place === '' && !isMap(probe.value)) continue;
      const document = acrossAgents(probe);
      const isReadable = isRead(name, document);
      const isValid = validate({ kind: name, ...document });
      if (isReadable) accepted++;
      else refused++;
      if (isReadable === isValid || GAPS.some(({ fits }) => fits(probe, isReadable))) continue;
      differing.push(
        `${probe.place} = ${JSON.stringify(probe.value).slice(0, 80)}: ${isReadable ? 'the reader' : 'the schema'} alone takes it`,
      );
    }
    expect(differing.slice(0, 20)).toEqual([]);
    expect(accepted).toBeGreaterThan(10);
    expect(refused).toBeGreaterThan(100);
  });

  test('defaults: to write one is to leave it out', () => {
    let count = 0;
    for (const { name, shape } of KIND_SHAPES) {
      for (const { map, around } of mapsAt(shape, (value) => (isMap(value) ? value : {}))) {
        for (const [field, { default: value }] of Object.entries(map.fields)) {
          if (value === undefined) continue;
          count++;
          const read = (document: JsonObject): unknown => READERS[name]?.(nodeOfJson(document, ''), new Problems());
          const [without, written] = [read(around(least(map))), read(around({ ...least(map), [field]: value }))];
          expect([map.name, field, written]).toEqual([map.name, field, without]);
          expect(written).toBeDefined();
        }
      }
    }
    expect(count).toBeGreaterThan(30);
  });

  test('documents as such', () => {
    const known = (kind: string): readonly string[] => {
      const parsed = parseDocuments([{ path: 'p.yaml', text: `apiVersion: sallyport.dev/v1\nkind: ${kind}\nunknown-field: 1\n` }]);
      const remedy = parsed.ok ? undefined : parsed.error.find(({ message }) => message.includes('unknown-field'))?.remedy;
      return (remedy ?? '').replace('known are ', '').split(', ');
    };
    for (const { name, shape } of KIND_SHAPES) expect(known(name).toSorted()).toEqual(Object.keys(shape.fields).toSorted());
    const wrong = parseDocuments([{ path: 'p.yaml', text: 'apiVersion: sallyport.dev/v1\nkind: xxxxxxxxxxxxxxxxxxx\n' }]);
    expect(wrong.ok ? '' : wrong.error[0]?.remedy).toBe(`one of ${KIND_SHAPES.map(({ name }) => name).join(', ')}`);
  });
});
