import { formatProblem } from '@sallyport/model';
import { describe, expect, test } from 'vitest';
import { buildParts } from '../compile/build.ts';
import { parseDocuments } from '../compile/documents.ts';
import { readParts } from '../compile/parts.ts';

/** A policy whose server and tool say this besides; as its parts read back, or its problems. */
function read(
  server: string,
  tool = '',
): { audience?: string | undefined; asserts?: true | undefined; features: readonly string[] } | readonly string[] {
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
    features: built.value.features.filter((name) => /audience|assertion/.test(name)),
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
