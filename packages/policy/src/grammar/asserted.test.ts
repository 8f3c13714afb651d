import { formatProblem } from '@sallyport/model';
import { describe, expect, test } from 'vitest';
import { buildParts } from '../compile/build.ts';
import { parseDocuments } from '../compile/documents.ts';
import { readParts } from '../compile/parts.ts';

/** A policy whose server and tool say this besides; as its parts read back, or its problems. */
function read(
  server: string,
  tool = '',
):
  | { audience?: string | undefined; asserts?: true | undefined; signs?: readonly string[] | undefined; features: readonly string[] }
  | readonly string[] {
  const text = `apiVersion: sallyport.dev/v1
kind: Agent
name: desk
owner: team
uses: [crm]
---
kind: ToolServer
name: crm
mcp: { url: "https://crm.internal" }
network: private
${server}
---
kind: Tool
name: crm/search
effect: read
${tool}
---
kind: Policy
agent: desk
rules: [{ id: all, allow: [crm/search] }]
`;
  const parsed = parseDocuments([{ path: 't.yaml', text }]);
  const built = parsed.ok ? buildParts(parsed.value) : parsed;
  if (!built.ok) return built.error.filter(({ severity }) => severity !== 'warning').map(formatProblem);
  const parts = readParts(built.value.parts);
  if (!parts.ok) return parts.error.map(formatProblem);
  const { servers, tools } = parts.value;
  return {
    audience: servers[0]?.audience,
    asserts: tools[0]?.assertsArguments,
    signs: tools[0]?.signs,
    features: built.value.features.filter((name) => /audience|assertion|sign$/.test(name)),
  };
}

describe('what assertions are for', () => {
  test('survives the way into a bundle and out of it, and needs a sidecar that knows it', () => {
    expect(read('audience: https://crm.example/api', 'assertion: { arguments: true }')).toEqual({
      audience: 'https://crm.example/api',
      asserts: true,
      features: ['server.audience', 'tool.assertion'],
    });
  });

  test('is written as a JWT; SAML is not supported, and whoever asks for it is told so, and what to do', () => {
    expect(read('assertion_format: jwt')).toEqual(read(''));
    const refused = read('assertion_format: saml');
    expect(refused).toEqual([expect.stringMatching(/^t\.yaml:.*assertions are not issued as SAML.*docs\/spec\/assertions-v1\.md/s)]);
    expect(read('assertion_format: SAML')).toEqual([expect.stringContaining('is not an assertion format')]);
  });

  test('is absent where nothing says it, and older sidecars need not know of it', () => {
    expect(read('')).toEqual({ audience: undefined, asserts: undefined, features: [] });
  });

  test.each([
    ['of nothing', 'audience: ""'],
    ['with a space, which another reader may cut', 'audience: "crm api"'],
    ['with a letter that looks like another', 'audience: "crm.exаmple"'],
    ['that hopes for a value of the environment', 'audience: "${env.crm}"'],
    ['that is a list', 'audience: [a, b]'],
    ['longer than any', `audience: ${'a'.repeat(257)}`],
  ])('an audience %s is refused', (_, server) => {
    expect(read(server)).toEqual([expect.stringContaining('t.yaml:')]);
  });

  test.each([
    ['false', 'assertion: { arguments: false }'],
    ['nothing', 'assertion: {}'],
    ['a text', 'assertion: { arguments: "true" }'],
    ['a field that is not known', 'assertion: { arguments: true, body: true }'],
  ])('an assertion with %s is refused', (_, tool) => {
    expect(read('', tool)).toEqual([expect.stringContaining('t.yaml:')]);
  });
});

describe('what of a call is signed', () => {
  test.each<[string, readonly string[]]>([
    ['{}', []],
    ['{ headers: [traceparent, x-api-key] }', ['traceparent', 'x-api-key']],
  ])('survives the way into a bundle and out of it: %s', (sign, signs) => {
    expect(read('', `sign: ${sign}`)).toMatchObject({ signs, features: ['tool.sign'] });
  });

  test.each([
    ['in capitals, which no signature has', '[X-Api-Key]'],
    ['of one hop', '[connection]'],
    ['that a proxy may set anew', '[host]'],
    ['of the signature itself', '[signature-input]'],
    ['twice', '[traceparent, traceparent]'],
    ['of none', '[]'],
    ['with parameters', "['traceparent;sf']"],
    ['that is derived', "['@path']"],
  ])('a header %s is refused', (_, headers) => {
    expect(read('', `sign: { headers: ${headers} }`)).toEqual(expect.arrayContaining([expect.stringContaining('t.yaml:')]));
  });

  test.each(['true', '[traceparent]', '{ body: false }'])('%s is no way to say so', (sign) => {
    expect(read('', `sign: ${sign}`)).toEqual([expect.stringContaining('t.yaml:')]);
  });
});
