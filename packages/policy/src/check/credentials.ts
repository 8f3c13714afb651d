/**
 * Which credential goes along with which call, and what is wrong with saying so: a name that leads nowhere, a credential
 * that no call carries, two for one header, and one that would cross a public network in the clear. Spec: policy-v1, 3.4a.
 */

import { invariant, serverOf } from '@sallyport/model';
import type { Agent, AgentName, Destination, Tool, ToolName, ToolServer } from '@sallyport/model';
import type { Credential } from '../grammar/credential.ts';
import type { Declared, Doubts, Located } from '../grammar/declared.ts';
import { ToolIndex } from '../grammar/selectors.ts';
import { LIMITS } from '../reader/limits.ts';
import { placeAt } from '../reader/locate.ts';
import { Problems, quote } from '../reader/node.ts';
import type { Place } from '../reader/node.ts';
import { parseBaseUrl, substitute } from './environment.ts';
import type { Unknown } from './names.ts';

interface Known {
  readonly agents: readonly Agent[];
  readonly index: ToolIndex;
  readonly servers: readonly ToolServer[];
  readonly destinations: readonly Destination[];
}

/** A credential and, where its source is a declared server, where that is. */
export interface CarriedCredential extends Credential {
  readonly endpoint?: { readonly destination: Destination; readonly path: string };
}

/** By agent and tool, at most one for each header. Only what `checkCredentials` found no problem with. */
export function credentialsByTool(
  credentials: readonly Credential[],
  known: Known,
): ReadonlyMap<AgentName, ReadonlyMap<ToolName, readonly CarriedCredential[]>> {
  const { agents, index } = known;
  const byName = new Map(agents.map((agent) => [agent.name, agent]));
  const found = new Map<AgentName, Map<ToolName, CarriedCredential[]>>();
  for (const declared of credentials) {
    const credential = withEndpoint(declared, known);
    for (const name of credential.agents) {
      const ofAgent = found.get(name) ?? new Map<ToolName, CarriedCredential[]>();
      found.set(name, ofAgent);
      for (const { name: tool } of toolsOf(credential, byName.get(name), index)) {
        const carried = ofAgent.get(tool) ?? [];
        ofAgent.set(tool, carried);
        carried.push(credential);
      }
    }
  }
  return found;
}

function withEndpoint(credential: Credential, { servers, destinations }: Known): CarriedCredential {
  const { source } = credential;
  if (source.kind !== 'oauth_client_credentials') return credential;
  const server = servers.find(({ name }) => name === source.server);
  const destination = destinations.find((one) => one.server === source.server);
  invariant(server !== undefined && destination !== undefined, 'the server of a source was checked to be declared');
  const [, base = ''] = /^https?:\/\/[^/]+(\/.*?)?\/?$/.exec(server.url) ?? [];
  return { ...credential, endpoint: { destination, path: `${base}${source.path}` } };
}

/** Of the tools that are selected, those of its destinations. */
function toolsOf({ tools, destinations }: Credential, agent: Agent | undefined, index: ToolIndex): readonly Tool[] {
  if (agent === undefined) return [];
  return index.selectAll(agent, tools).filter(({ name }) => destinations.includes(serverOf(name)));
}

interface Surroundings {
  readonly doubts: Doubts;
  readonly unknown: Unknown;
}

export function checkCredentials(declared: Declared, { doubts, unknown }: Surroundings, problems: Problems): void {
  if (declared.credentials.length === 0) return;
  const agents = new Map(declared.agents.map(({ value }) => [value.name, value]));
  const servers = new Set(declared.servers.map(({ value }) => value.name));
  const index = new ToolIndex(declared.tools.map(({ value }) => value));
  // Owner: this check. Who puts what into which header of which call.
  const taken = new Map<string, Located<Credential>>();
  let pairs = 0;
  for (const located of declared.credentials) {
    const { value, node } = located;
    if (value.source.kind === 'oauth_client_credentials') {
      const place = placeAt(node, 'source', 'oauth_client_credentials', 'server');
      const { server } = value.source;
      if (!servers.has(server)) unknown(place, 'tool server', server, servers);
      else checkEncrypted(place, server, declared, problems);
    }
    for (const [at, name] of value.destinations.entries()) {
      if (!servers.has(name)) unknown(placeAt(node, 'destinations', at), 'tool server', name, servers);
      else checkEncrypted(placeAt(node, 'destinations', at), name, declared, problems);
    }
    for (const [at, name] of value.agents.entries()) {
      const agent = agents.get(name);
      if (agent === undefined) unknown(placeAt(node, 'agents', at), 'agent', name, agents.keys());
      const tools = toolsOf(value, agent, index);
      pairs += tools.length;
      if (agent !== undefined && tools.length === 0 && doubts.names.size === 0 && !doubts.agents.has(name))
        problems.add(placeAt(node, 'agents', at), `no call of ${quote(name)} carries credential ${quote(value.name)}`, {
          remedy: 'select tools of its `destinations`, which the agent must have among its `uses`',
        });
      for (const tool of tools) checkTaken(located, { agent: name, tool: tool.name }, taken, problems);
    }
    // What could not be read may be what is selected.
    if (doubts.names.size === 0) checkSelectors(located, { agents, index }, problems);
  }
  if (pairs > LIMITS.rulePairsMax)
    problems.add({ path: '' }, `there are ${pairs} pairs of a credential and a tool, more than ${LIMITS.rulePairsMax}`, {
      remedy: 'divide them among areas',
    });
}

function checkTaken(
  located: Located<Credential>,
  { agent, tool }: { readonly agent: AgentName; readonly tool: ToolName },
  taken: Map<string, Located<Credential>>,
  problems: Problems,
): void {
  const { value, node } = located;
  const key = `${agent} ${tool} ${value.header.toLowerCase()}`;
  const first = taken.get(key);
  taken.set(key, first ?? located);
  if (first === undefined || first.value.name === value.name) return;
  const { file, line } = first.node.place;
  const message = `${quote(first.value.name)} and ${quote(value.name)} are both for header ${quote(value.header)} of ${quote(tool)} by ${quote(agent)}`;
  const place = placeAt(node, 'tools');
  if (!problems.has(place, message))
    problems.add(place, message, { remedy: `select tools apart${file === undefined ? '' : `; the other is at ${file}:${line ?? 1}`}` });
}

/** A selector that selects nothing for any agent is a mistake: the call that was meant goes out without. */
function checkSelectors(
  { value, node }: Located<Credential>,
  { agents, index }: { readonly agents: ReadonlyMap<AgentName, Agent>; readonly index: ToolIndex },
  problems: Problems,
): void {
  for (const [at, one] of value.tools.entries()) {
    const known = value.agents.flatMap((name) => agents.get(name) ?? []);
    const isAbout = known.some((agent) => toolsOf({ ...value, tools: [one] }, agent, index).length > 0);
    const place: Place = placeAt(node, 'tools', at);
    if (known.length > 0 && !isAbout)
      problems.add(place, `no tool of its \`destinations\` is selected for credential ${quote(value.name)}`, {
        remedy: 'name a tool of a server that is among `destinations` and among the `uses` of an agent',
      });
  }
}

/** Whoever listens on the way would have it. */
function checkEncrypted(place: Place, name: string, { servers, environment }: Declared, problems: Problems): void {
  const server = servers.find(({ value }) => value.name === name)?.value;
  if (server === undefined || server.network !== 'public') return;
  // What is wrong with the URL itself is said where the server stands.
  const aside = new Problems();
  const url = substitute(server.url, place, environment, aside);
  const base = url === undefined ? undefined : parseBaseUrl(url, place, aside);
  if (base?.scheme === 'http')
    problems.add(place, `a credential would cross a public network unencrypted to ${quote(name)}`, {
      remedy: 'give the server an https:// URL',
    });
}
