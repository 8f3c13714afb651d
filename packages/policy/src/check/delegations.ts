/** Relations between agents lead somewhere: to a server that is an agent, from agents that can be told apart. Spec: policy-v1 17. */

import { decodeBase64, readCertificate } from '@sallyport/crypto';
import { qualifiedAgent } from '@sallyport/model';
import type { Agent, DelegatedBy, ServerName } from '@sallyport/model';
import type { DeclaredServer } from '../grammar/catalog.ts';
import type { Declared, Located } from '../grammar/declared.ts';
import { placeAt } from '../reader/locate.ts';
import type { Place, Problems } from '../reader/node.ts';
import { quote } from '../reader/node.ts';
import type { Unknown } from './names.ts';

interface Known {
  readonly servers: ReadonlyMap<ServerName, DeclaredServer>;
  readonly agents: ReadonlySet<string>;
  readonly domains: ReadonlySet<string>;
  readonly unknown: Unknown;
}

export function checkDelegations(declared: Declared, unknown: Unknown, problems: Problems): void {
  const known: Known = {
    servers: new Map(declared.servers.map(({ value }) => [value.name, value])),
    agents: new Set<string>(declared.agents.map(({ value }) => value.name)),
    domains: new Set(declared.trustDomains.map(({ value }) => value.name)),
    unknown,
  };
  for (const { value, node } of declared.trustDomains)
    checkAuthorities(value.authorities, { kinds: 'of hops', placeOf: (index) => placeAt(node, 'authorities', index) }, problems);
  for (const { value, node } of declared.servers) {
    const domain = value.agent?.trustDomain;
    checkAuthorities(
      value.agent?.authorities ?? [],
      { kinds: 'any', placeOf: (index) => placeAt(node, 'agent', 'authorities', index) },
      problems,
    );
    if (domain !== undefined && !known.domains.has(domain))
      unknown(placeAt(node, 'agent', 'trust_domain'), 'trust domain', domain, known.domains);
  }
  for (const located of declared.agents) {
    const { to = [], from = [] } = located.value.delegation ?? {};
    for (const [index, { server }] of to.entries()) checkTo(located, { index, server }, known, problems);
    for (const [index, one] of from.entries()) checkFrom(one, placeAt(located.node, 'delegation', 'from', index), known, problems);
  }
}

/** Those of a port are for TLS, which knows more kinds of keys than hops do. */
function checkAuthorities(
  texts: readonly string[],
  { kinds, placeOf }: { readonly kinds: 'any' | 'of hops'; readonly placeOf: (index: number) => Place },
  problems: Problems,
): void {
  for (const [index, text] of texts.entries()) {
    const der = decodeBase64(text);
    const certificate = der === undefined ? undefined : readCertificate(der);
    if (certificate?.isCa === true && (kinds === 'any' || certificate.publicKey !== undefined)) continue;
    problems.add(placeOf(index), `this is not one CA certificate${kinds === 'any' ? '' : ' with a P-256 or Ed25519 key'}`, {
      remedy: 'its PEM, or base64 of its DER',
    });
  }
}

function checkTo(
  { value, node }: Located<Agent>,
  { index, server: name }: { readonly index: number; readonly server: ServerName },
  { servers, unknown }: Known,
  problems: Problems,
): void {
  const place = placeAt(node, 'delegation', 'to', index, 'server');
  const server = servers.get(name);
  if (value.delegation?.to.findIndex((one) => one.server === name) !== index)
    problems.add(place, `there are two relations to ${quote(name)}`, { remedy: 'leave one' });
  if (server === undefined) return unknown(place, 'tool server', name, servers.keys());
  if (server.agent === undefined) {
    problems.add(place, `${quote(name)} is no agent`, { remedy: 'only a ToolServer with `agent` is handed on to' });
  } else if (qualifiedAgent(server.agent) === value.name) {
    problems.add(place, `${quote(name)} is this very agent`, { remedy: 'take it out: an agent does not call itself' });
  } else if (!value.uses.includes(name)) {
    problems.add(place, `the agent does not use ${quote(name)}`, { remedy: 'list it in `uses` as well' });
  }
}

function checkFrom({ agents, tenant, isThirdPartyToo }: DelegatedBy, place: Place, known: Known, problems: Problems): void {
  for (const name of agents) {
    const slash = name.indexOf('/');
    if (slash > 0 && !known.domains.has(name.slice(0, slash))) known.unknown(place, 'trust domain', name.slice(0, slash), known.domains);
    if (slash > 0 && !isThirdPartyToo)
      problems.add(place, `${quote(name)} is third-party, and never taken`, { remedy: 'say third_party: true, or take it out' });
    if (slash > 0 && tenant === undefined)
      problems.add(place, `whoever ${quote(name)} acts for is of no tenant here`, { remedy: 'say which: tenant: …' });
    // Another area's agents are not declared here.
    if (slash < 0 && !known.agents.has(name))
      problems.add(place, `no agent ${quote(name)} here`, {
        remedy: 'it must be one of another area, or nobody calls',
        severity: 'warning',
      });
  }
}

/** Of the policy as it stands: what is written, is allowed, and does nothing for want of something else. */
export function warnOfDelegations({ agents, servers, rules }: Pick<Declared, 'agents' | 'servers' | 'rules'>, problems: Problems): void {
  const called = new Set<string>(servers.filter(({ value }) => value.agent !== undefined).map(({ value }) => value.name));
  const relations = new Map(agents.map(({ value }) => [value.name, new Set<string>(value.delegation?.to.map(({ server }) => server))]));
  for (const { value, node } of rules) {
    if (value.verb !== 'allow') continue;
    const { firstParty, depth } = value.delegation ?? {};
    if (firstParty === true && depth === undefined)
      problems.add(placeAt(node, 'delegation'), '`first_party` without `depth` asks nothing: no agent may stand in between anyway', {
        remedy: 'say how many may: depth: 1',
        severity: 'warning',
      });
    for (const [index, selector] of value.tools.entries()) {
      const server = 'tool' in selector ? selector.tool.slice(0, selector.tool.indexOf('/')) : (selector.server ?? '');
      if (!called.has(server) || value.agent === undefined || relations.get(value.agent)?.has(server) === true) continue;
      problems.add(placeAt(node, 'allow', index), `agent ${quote(value.agent)} does not hand on to ${quote(server)}`, {
        remedy: 'every such call is `delegation_not_allowed`; list it in the agent’s `delegation.to`',
        severity: 'warning',
      });
    }
  }
}
