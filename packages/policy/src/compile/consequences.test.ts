import { formatProblem } from '@sallyport/model';
import { describe, expect, test } from 'vitest';
import { parseDocuments } from './documents.ts';

const HEAD = 'apiVersion: sallyport.dev/v1\n';
const AGENT = 'kind: Agent\nname: shop-helper\nowner: team\nuses: [orders]\n';
const SERVER = 'kind: ToolServer\nname: orders\nhttp: { url: "https://orders.internal" }\nnetwork: private\n';
const TOOLS = ['get', 'list', 'refund']
  .map((name) => `kind: Tool\nname: orders/${name}\neffect: read\nroute: { method: GET, path: /${name} }\n`)
  .join('---\n');
const RULES = `kind: Policy
agent: shop-helper
rules:
  - { id: get, allow: [orders/get] }
  - { id: some, allow: ["orders/l*"], after: [orders/get] }
  - { id: refund, allow: [orders/refund], after: [orders/get] }
`;
const TESTS =
  'kind: Test\ncases: [{ call: orders/get, expect: allow }]\nsteps: [{ call: orders/list, expect: session_precondition_failed }]\n';

/** Everything that is said of these documents, each in a file of its own. */
function saidOf(changed: { agent?: string; server?: string; tools?: string; rules?: string; tests?: string }): readonly string[] {
  const { agent = AGENT, server = SERVER, tools = TOOLS, rules = RULES, tests = TESTS } = changed;
  const parsed = parseDocuments(
    Object.entries({ agent, server, tools, rules, tests }).map(([path, text]) => ({ path, text: text === '' ? '' : HEAD + text })),
  );
  return (parsed.ok ? parsed.value.warnings : parsed.error).map(formatProblem);
}

describe('what is wrong once is said once', () => {
  test('nothing is wrong to begin with', () => {
    expect(saidOf({})).toEqual(['tools:13:7: name: warning: no test calls `orders/refund` (add a case to a document of kind Test)']);
  });

  test.each([
    [
      'an unquoted path with an argument',
      { tools: TOOLS.replace('/get }', '/get/{id} }') },
      'tools:5:34: not YAML: `{` stands in a text that is not quoted (quote it: "/get/{id}")',
    ],
    [
      'an unquoted place in a list',
      { tools: TOOLS.replace('effect: read', 'touches: { order: args.items[].id }') },
      'tools:4:29: not YAML: `[` stands in a text that is not quoted (quote it: "args.items[].id")',
    ],
    [
      'an agent that is no YAML',
      { agent: AGENT.replace('team', '@team') },
      'agent:4:8: not YAML: plain value cannot start with reserved character @ (quote it)',
    ],
    [
      'a server that is no YAML',
      { server: SERVER.replace('private', '`private`') },
      'server:5:10: not YAML: plain value cannot start with reserved character ` (quote it)',
    ],
    [
      'rules that are no YAML',
      { rules: RULES.replace('[orders/get] }', '[orders/get]') },
      'rules:6:3: not YAML: flow map in block collection must be sufficiently indented and end with a }',
    ],
    ['an anchor', { server: SERVER.replace('orders', '&a orders') }, 'server:3:7: anchors are not part of this language (write it out)'],
    [
      'an overlay of a tool that is in a document which is no YAML',
      {
        tools: TOOLS.replace('effect: read', 'effect: @read'),
        server: `${SERVER}---\nkind: ToolOverlay\nname: orders/get\neffect: read\n`,
      },
      'tools:4:9: not YAML: plain value cannot start with reserved character @ (quote it)',
    ],
    [
      'a server of another kind than there is',
      { server: SERVER.replace('http: { url: "https://orders.internal" }', 'mcp: { command: npx }') },
      'server:4:6: mcp: `mcp` lacks `url`\nserver:4:8: mcp.command: `command` is not a field of `mcp` (known are url)',
    ],
    [
      'a kind that is misspelled',
      { agent: AGENT.replace('Agent', 'Agnt') },
      'agent:2:7: kind: `Agnt` is not a kind (did you mean `Agent`)',
    ],
    [
      'the name of an agent, over many rules',
      { rules: RULES.replace('shop-helper', 'shop-helpr') },
      'rules:3:8: agent: no agent `shop-helpr` (did you mean `shop-helper`)',
    ],
    [
      'a server that nobody declares, used and of many tools',
      { server: 'kind: Environment\nvalues: { a: { string: x } }\n' },
      'agent:5:8: uses[0]: no tool server `orders` (declare it)',
    ],
    [
      'a server that nobody declares nor uses, of many tools',
      { server: 'kind: Environment\nvalues: { a: { string: x } }\n', agent: AGENT.replace('[orders]', '[]'), rules: '', tests: '' },
      'tools:3:7: name: no tool server `orders` (declare it)',
    ],
    [
      'a required field that is misspelled',
      { server: SERVER.replace('{ url', '{ ulr') },
      'server:4:9: http.ulr: `ulr` is not a field of `http` (did you mean `url`)',
    ],
    [
      'a verb that is misspelled',
      { rules: RULES.replace('allow', 'alow') },
      'rules:5:16: rules[0].alow: `alow` is not a field of a rule (did you mean `allow`)',
    ],
    [
      'a server that is misspelled in `uses`',
      { agent: AGENT.replace('[orders]', '[ordrs]') },
      'agent:5:8: uses[0]: no tool server `ordrs` (did you mean `orders`)',
    ],
    [
      'a rule that cannot be read and that another waits for',
      { rules: RULES.replace('id: get', 'id: Get') },
      'rules:5:11: rules[0].id: `Get` is not a name: 1 to 63 of a-z, 0-9 and -, starting with a letter',
    ],
  ])('%s', (_, changed, said) => {
    expect(saidOf(changed).join('\n')).toEqual(said);
  });

  test('of other documents it is still said what is wrong with each by itself', () => {
    expect(saidOf({ agent: AGENT.replace('team', '@team'), tools: TOOLS.replace('effect: read', 'effect: wirte') })).toEqual([
      'agent:4:8: not YAML: plain value cannot start with reserved character @ (quote it)',
      'tools:4:9: effect: `wirte` is not an effect (did you mean `write`)',
    ]);
  });
});
