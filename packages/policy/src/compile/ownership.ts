/**
 * Of several layers, what each may say of what others own. A name belongs to the one layer that declares it, and every
 * refusal here tells both places. Spec: policy-v1 section 15.
 */

import type { Issuer, Tool, TrustDomain } from '@sallyport/model';
import { serverOf } from '@sallyport/model';
import { canonicalJson } from '../check/canonical.ts';
import { encodeServer, encodeTool } from '../grammar/catalog.ts';
import type { DeclaredServer } from '../grammar/catalog.ts';
import type { CallerMethodDocument } from '../grammar/caller-method.ts';
import { secretOf } from '../grammar/credential.ts';
import type { Credential } from '../grammar/credential.ts';
import type { Declared, Located } from '../grammar/declared.ts';
import { placeAt } from '../reader/locate.ts';
import { quote } from '../reader/node.ts';
import type { Place, Problems } from '../reader/node.ts';
import type { Rule } from '../rule.ts';
import { checkDestinations, checkIssuers, checkNotes, checkValues, show } from './ownership-shared.ts';
import type { Owner, OwnedLayer, Owners } from './ownership-shared.ts';

interface Kind<T> {
  readonly what: string;
  readonly of: (declared: Declared) => readonly Located<T>[];
  readonly nameOf: (item: T) => string;
  /** What of it is not as its owner has it. */
  readonly differs?: (owned: T, other: T) => readonly string[];
}

const AGENT: Kind<{ readonly name: string }> = { what: 'agent', of: ({ agents }) => agents, nameOf: ({ name }) => name };
const SERVER: Kind<DeclaredServer> = {
  what: 'tool server',
  of: ({ servers }) => servers,
  nameOf: ({ name }) => name,
  differs: (owned, other) => [
    ...differing(
      { ...(encodeServer(owned) as object), network: owned.network },
      { ...(encodeServer(other) as object), network: other.network },
    ),
  ],
};
const TOOL: Kind<Tool> = {
  what: 'tool',
  of: ({ tools }) => tools,
  nameOf: ({ name }) => name,
  differs: (owned, other) => differing(encodeTool(owned) as object, encodeTool(other) as object),
};
const ISSUER: Kind<Issuer> = { what: 'issuer', of: ({ issuers }) => issuers, nameOf: ({ issuer }) => issuer };
const TRUST_DOMAIN: Kind<TrustDomain> = { what: 'trust domain', of: ({ trustDomains }) => trustDomains, nameOf: ({ name }) => name };
const CREDENTIAL: Kind<Credential> = { what: 'credential', of: ({ credentials }) => credentials, nameOf: ({ name }) => name };
/** A secret that a layer above has named is not a layer below's to send somewhere else. */
const SECRET: Kind<Credential> = { what: 'secret', of: ({ credentials }) => credentials, nameOf: ({ source }) => secretOf(source) };
const METHOD: Kind<CallerMethodDocument> = {
  what: 'caller method',
  of: ({ callerMethods }) => callerMethods,
  nameOf: ({ config }) => config.name,
};
const RULE: Kind<Rule> = { what: 'rule', of: ({ rules }) => rules, nameOf: ({ id }) => id };

/** Reports everything that one layer may not say of what another owns. The highest layer comes first. */
export function checkOwnership(layers: readonly OwnedLayer[], problems: Problems): void {
  const agents = ownersOf(AGENT, layers, problems);
  const servers = ownersOf(SERVER, layers, problems);
  const tools = ownersOf(TOOL, layers, problems);
  ownersOf(ISSUER, layers, problems);
  const domains = ownersOf(TRUST_DOMAIN, layers, problems);
  ownersOf(CREDENTIAL, layers, problems);
  ownersOf(SECRET, layers, problems);
  ownersOf(METHOD, layers, problems);
  ownersOf(RULE, layers, problems);
  checkIssuers(layers, problems);
  checkValues(layers, problems);
  checkNotes(layers, problems);
  checkDestinations(layers, problems);
  for (const [layer, { declared }] of layers.entries()) {
    const owning = { layers, layer, problems };
    for (const { value, node } of declared.tools) toolAtHome({ value, node }, servers, owning);
    for (const { value, node } of declared.agents)
      for (const [index, name] of value.uses.entries())
        notBelow({ what: 'tool server', name, place: placeAt(node, 'uses', index) }, servers, owning);
    for (const { value, node } of declared.agents)
      for (const name of value.delegation?.from.flatMap(({ agents: callers }) => callers) ?? [])
        if (name.includes('/'))
          notBelow({ what: 'trust domain', name: name.slice(0, name.indexOf('/')), place: placeAt(node, 'delegation') }, domains, owning);
    for (const rule of declared.rules) checkRule(rule, { agents, tools }, owning);
    for (const { value, node } of declared.credentials) {
      for (const [index, name] of value.agents.entries()) notAbove({ name, place: placeAt(node, 'agents', index) }, agents, owning);
      if (value.source.kind === 'oauth_client_credentials')
        notBelow({ what: 'tool server', name: value.source.server, place: placeAt(node, 'source') }, servers, owning);
      for (const [index, name] of value.destinations.entries())
        notBelow({ what: 'tool server', name, place: placeAt(node, 'destinations', index) }, servers, owning);
    }
    for (const { value, node } of declared.observes)
      for (const name of value.agents === '*' ? [] : value.agents) notAbove({ name, place: placeAt(node, 'agents') }, agents, owning);
  }
}

interface Owning {
  readonly layers: readonly OwnedLayer[];
  readonly layer: number;
  readonly problems: Problems;
}

function ownersOf<T>(kind: Kind<T>, layers: readonly OwnedLayer[], problems: Problems): Owners {
  const owners = new Map<string, Owner>();
  for (const [layer, { declared, name: layerName }] of layers.entries()) {
    for (const { value, node } of kind.of(declared)) {
      const name = kind.nameOf(value);
      const owner = owners.get(name);
      if (owner === undefined) owners.set(name, { layer, node, value });
      // Twice in one layer is what every reader of names finds.
      else if (owner.layer !== layer) {
        const other = kind.differs?.(owner.value as T, value) ?? [];
        const how = other.length === 0 ? '' : `, with another ${other.map(quote).join(', ')}`;
        const owned = `which layer ${quote(layers[owner.layer]?.name ?? '')} owns${how}`;
        problems.add(node.place, `layer ${quote(layerName)} declares ${kind.what} ${quote(name)} anew, ${owned}`, {
          remedy: `leave it out: it stands at ${show(owner.node.place)}`,
        });
      }
    }
  }
  return owners;
}

function differing(owned: object, other: object): readonly string[] {
  const [left, right] = [new Map(Object.entries(owned)), new Map(Object.entries(other))];
  const text = (value: unknown): string => (value === undefined ? '' : canonicalJson(value as never));
  return [...new Set([...left.keys(), ...right.keys()])].filter((key) => text(left.get(key)) !== text(right.get(key))).toSorted();
}

function toolAtHome({ value, node }: Located<Tool>, servers: Owners, { layers, layer, problems }: Owning): void {
  const owner = servers.get(serverOf(value.name));
  if (owner === undefined || owner.layer === layer) return;
  problems.add(
    node.place,
    `layer ${quote(layers[layer]?.name ?? '')} adds tool ${quote(value.name)} to a server that layer ${quote(layers[owner.layer]?.name ?? '')} owns`,
    {
      remedy: `let the owner of ${show(owner.node.place)} declare it`,
    },
  );
}

interface Named {
  readonly what: string;
  readonly name: string;
  readonly place: Place;
}

/** What is built upon must not be a lower layer's to choose. */
function notBelow({ what, name, place }: Named, owners: Owners, { layers, layer, problems }: Owning): void {
  const owner = owners.get(name);
  if (owner === undefined || owner.layer <= layer) return;
  problems.add(
    place,
    `${what} ${quote(name)} is declared in layer ${quote(layers[owner.layer]?.name ?? '')}, below layer ${quote(layers[layer]?.name ?? '')}`,
    {
      remedy: `it stands at ${show(owner.node.place)}`,
    },
  );
}

function notAbove({ name, place }: Omit<Named, 'what'>, agents: Owners, { layers, layer, problems }: Owning): void {
  const owner = agents.get(name);
  if (owner === undefined || owner.layer >= layer) return;
  problems.add(
    place,
    `layer ${quote(layers[layer]?.name ?? '')} speaks of agent ${quote(name)}, which layer ${quote(layers[owner.layer]?.name ?? '')} above it owns`,
    {
      remedy: `the agent stands at ${show(owner.node.place)}`,
    },
  );
}

function checkRule(
  { value, node }: Located<Rule>,
  { agents, tools }: { readonly agents: Owners; readonly tools: Owners },
  owning: Owning,
): void {
  const { layers, layer, problems } = owning;
  const named = value.agent === undefined ? (value.agents === '*' ? [] : value.agents) : [value.agent];
  for (const name of named) notAbove({ name, place: placeAt(node, 'agent') }, agents, owning);
  for (const [index, { tool }] of (value.after ?? []).entries())
    notBelow({ what: 'tool', name: tool, place: placeAt(node, 'after', index) }, tools, owning);
  const owner = value.agent === undefined ? undefined : agents.get(value.agent);
  if (value.verb !== 'allow' || owner === undefined || owner.layer <= layer) return;
  problems.add(
    placeAt(node, 'allow'),
    `layer ${quote(layers[layer]?.name ?? '')} allows what agent ${quote(value.agent ?? '')} may do, which only its own layer ${quote(layers[owner.layer]?.name ?? '')} can`,
    {
      remedy: `the agent stands at ${show(owner.node.place)}`,
    },
  );
}
