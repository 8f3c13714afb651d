/** Every name is declared once, looks like no other, and leads somewhere. */

import { serverOf } from '@sallyport/model';
import type { Agent, AttributeForm, ServerName, Tool } from '@sallyport/model';
import { budgetMax } from '../demand/limit.ts';
import type { DeclaredServer } from '../grammar/catalog.ts';
import { NO_DOUBTS } from '../grammar/declared.ts';
import type { Declared, Doubts, Located } from '../grammar/declared.ts';
import { lookOf } from '../reader/forms.ts';
import { LIMITS } from '../reader/limits.ts';
import { placeAt } from '../reader/locate.ts';
import type { Place, Problems } from '../reader/node.ts';
import { didYouMean, orListed, quote } from '../reader/node.ts';
import type { Rule } from '../rule.ts';
import { checkAttributes, checkGiven } from './attributes.ts';
import { checkCallerMethods } from './caller-methods.ts';
import { checkCredentials } from './credentials.ts';
import { checkDelegations } from './delegations.ts';
import { parseBaseUrl, substitute } from './environment.ts';
import { checkJobs } from './agents.ts';
import { checkIssuer } from './issuers.ts';
import { checkOverlaps, checkRoute } from './routes.ts';

/** Reports duplicates, look-alikes and names that lead nowhere, in everything but conditions. */
export function checkNames(declared: Declared, problems: Problems, doubts: Doubts = NO_DOUBTS): void {
  const unknown = unknownReporter(problems, doubts.names);
  const { agents, servers, tools, issuers, rules } = declared;
  unique(agents, { what: 'agent', nameOf: (agent) => agent.name, field: 'name' }, problems);
  unique(servers, { what: 'tool server', nameOf: (server) => server.name, field: 'name' }, problems);
  // A vendor's names are not the author's to choose, so that two that look alike are only pointed out.
  unique(tools, { what: 'tool', nameOf: (tool) => tool.name, field: 'name', severity: 'warning' }, problems);
  unique(issuers, { what: 'issuer', nameOf: (issuer) => issuer.issuer, field: 'issuer' }, problems);
  unique(declared.trustDomains, { what: 'trust domain', nameOf: (one) => one.name, field: 'name' }, problems);
  unique(declared.callerMethods, { what: 'caller method', nameOf: ({ config }) => config.name, field: 'name' }, problems);
  unique(declared.credentials, { what: 'credential', nameOf: (one) => one.name, field: 'name' }, problems);
  unique(rules, { what: 'rule', nameOf: (rule) => rule.id, field: 'id' }, problems);
  bounded(declared, problems);
  for (const server of servers) checkServer(server, declared, problems);
  for (const agent of agents) checkJobs(agent, problems);
  for (const issuer of issuers) checkIssuer(issuer, declared.environment, problems);
  for (const one of agents) checkSigningKeys(one, problems);
  const serverNames = new Map(servers.map(({ value }) => [value.name, value]));
  for (const { value, node } of agents) {
    for (const [index, name] of value.uses.entries()) {
      if (!serverNames.has(name)) unknown(placeAt(node, 'uses', index), 'tool server', name, serverNames.keys());
    }
  }
  // A server that nobody declares has many tools: it is one thing to say, not many.
  const undeclared = new Map<ServerName, Located<Tool>>();
  for (const tool of tools) {
    const server = serverNames.get(serverOf(tool.value.name));
    if (server === undefined) undeclared.set(serverOf(tool.value.name), undeclared.get(serverOf(tool.value.name)) ?? tool);
    else checkRoute(tool, server, problems);
  }
  const used = new Set(agents.flatMap(({ value }) => value.uses));
  for (const [name, { node }] of undeclared) if (!used.has(name)) unknown(placeAt(node, 'name'), 'tool server', name, serverNames.keys());
  checkOverlaps(tools, problems);
  checkRules(declared, { doubts, unknown }, problems);
  checkDelegations(declared, unknown, problems);
  checkObserves(declared, problems);
  checkCredentials(declared, { doubts, unknown }, problems);
  const attributes = checkAttributes(declared, problems);
  checkCallerMethods(declared, attributes, problems);
  checkTests(declared, { attributes, unknown }, problems);
}

interface Naming<T> {
  readonly what: string;
  readonly nameOf: (item: T) => string;
  /** Where the name stands in its declaration. */
  readonly field: string;
  /** How a look-alike is reported; a problem unless said otherwise. */
  readonly severity?: 'warning';
}

function unique<T>(items: readonly Located<T>[], { what, nameOf, field, severity }: Naming<T>, problems: Problems): void {
  const names = new Map<string, Located<T>>();
  const looks = new Map<string, string>();
  for (const item of items) {
    const name = nameOf(item.value);
    const place = placeAt(item.node, field);
    const first = names.get(name);
    if (first !== undefined) {
      const { file, line } = first.node.place;
      problems.add(place, `${what} ${quote(name)} is declared twice`, {
        remedy: file === undefined ? undefined : `first at ${file}:${line ?? 1}`,
      });
      continue;
    }
    names.set(name, item);
    const other = looks.get(lookOf(name));
    looks.set(lookOf(name), other ?? name);
    if (other === undefined) continue;
    problems.add(place, `${what} ${quote(name)} looks like ${quote(other)}`, {
      remedy: 'choose a name that nobody can take for another',
      ...(severity === undefined ? {} : { severity }),
    });
  }
}

function bounded(declared: Declared, problems: Problems): void {
  const bounds = [
    ['agents', declared.agents, LIMITS.agentsMax],
    ['tool servers', declared.servers, LIMITS.serversMax],
    ['tools', declared.tools, LIMITS.toolsMax],
    ['issuers', declared.issuers, LIMITS.issuersMax],
    ['trust domains', declared.trustDomains, LIMITS.trustDomainsMax],
    ['caller methods', declared.callerMethods, LIMITS.callerMethodsMax],
    ['credentials', declared.credentials, LIMITS.credentialsMax],
    ['rules', declared.rules, LIMITS.rulesMax],
    ['tests', declared.tests, LIMITS.testSuitesMax],
    ['Observes', declared.observes, LIMITS.observesMax],
  ] as const;
  for (const [what, items, max] of bounds) {
    if (items.length > max)
      problems.add({ path: '' }, `there are ${items.length} ${what}, more than ${max}`, { remedy: 'divide them among areas' });
  }
}

/** Says of a name that nothing has it. */
export type Unknown = (place: Place, what: string, name: string, known: Iterable<string>) => void;

/** Says it once of one place: what a whole document is about is written once, and read by each of its rules. */
function unknownReporter(problems: Problems, unread: ReadonlySet<string>): Unknown {
  return (place, what, name, known) => {
    if (unread.has(what === 'tool' ? name.slice(0, name.indexOf('/')) : name) || unread.has(name)) return;
    const message = `no ${what} ${quote(name)}`;
    const names = [...known];
    if (!problems.has(place, message))
      problems.add(place, message, { remedy: () => didYouMean(name, names) ?? longerName(name, names) ?? 'declare it' });
  };
}

/** The only known name that this one begins, as `orders/cancel` does `orders/cancel_order`. */
function longerName(name: string, known: readonly string[]): string | undefined {
  const [only, ...others] = name.endsWith('/') ? [] : known.filter((other) => other.startsWith(name));
  return only === undefined || others.length > 0 ? undefined : `did you mean ${quote(only)}`;
}

const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;

function checkServer({ value, node }: Located<DeclaredServer>, declared: Declared, problems: Problems): void {
  const place = placeAt(node, value.kind, 'url');
  const url = substitute(value.url, place, declared.environment, problems);
  const base = url === undefined ? undefined : parseBaseUrl(url, place, problems);
  if (base === undefined) return;
  if (value.agent !== undefined && base.scheme === 'http')
    problems.add(place, 'agents are called over TLS alone', { remedy: 'give it the https:// URL of its sidecar' });
  if (value.tls !== undefined && base.scheme === 'http')
    problems.add(placeAt(node, 'tls'), 'a server reached by http:// has no TLS', { remedy: 'give it an https:// URL' });
  if (LOOPBACK.test(base.host) && value.network !== 'loopback') {
    problems.add(place, `${quote(base.host)} is this very machine`, { remedy: 'say network: loopback' });
  }
  if (base.scheme === 'http' && value.network === 'public') {
    problems.add(place, 'calls cross a public network unencrypted', {
      remedy: 'use https://, or say which network it is',
      severity: 'warning',
    });
  }
}

/** A key is named in a header field: what does not fit there can never be named. */
function checkSigningKeys({ value, node }: Located<Agent>, problems: Problems): void {
  for (const [index, { kid }] of (value.signingKeys ?? []).entries())
    if (!/^[\x21\x23-\x5b\x5d-\x7e]{1,128}$/.test(kid))
      problems.add(placeAt(node, 'signing_keys', index), `${quote(kid)} cannot be named in a signature`, {
        remedy: 'a `kid` of visible ASCII without quotation marks and backslashes',
      });
}

function checkRules(
  declared: Declared,
  { doubts, unknown }: { readonly doubts: Doubts; readonly unknown: Unknown },
  problems: Problems,
): void {
  const agents = new Map<string, Agent>(declared.agents.map(({ value }) => [value.name, value]));
  const tools = new Map<string, Tool>(declared.tools.map(({ value }) => [value.name, value]));
  for (const located of declared.rules) {
    const { value, node } = located;
    const agent = value.agent === undefined ? undefined : agents.get(value.agent);
    if (value.agent !== undefined && agent === undefined)
      unknown(placeAt(located.whose ?? located.node, 'agent'), 'agent', value.agent, agents.keys());
    for (const key of ['tenants', 'principals'] as const) {
      for (const [index, name] of (value.for?.[key] ?? []).entries())
        substitute(name, placeAt(node, 'for', key, index), declared.environment, problems);
    }
    if (value.budget !== undefined && budgetMax(value.budget.max, declared.environment) === undefined)
      problems.add(placeAt(node, 'budget', 'max'), `${quote(value.budget.max)} is no number of the environment that is not negative`, {
        remedy: 'declare it as a decimal or an integer in a document of kind Environment',
      });
    if (agent !== undefined) checkRuleTools(located, { agent, tools, unknown, isSure: !doubts.agents.has(agent.name) }, problems);
    if (value.agent === undefined) checkAcross(located, { declared, unknown }, problems);
  }
}

/**
 * What a rule across agents names may be declared in a layer below, which its builder does not see: so it is pointed out
 * and not refused. What it requires to have completed is its own business, and must be known.
 */
function checkAcross(
  { value, node, whose }: Located<Rule>,
  { declared: { agents, servers, tools }, unknown }: { readonly declared: Declared; readonly unknown: Unknown },
  problems: Problems,
): void {
  const [agentNames, serverNames, toolNames] = [agents, servers, tools].map(
    (list) => new Set<string>(list.map(({ value: { name } }) => name)),
  ) as [Set<string>, Set<string>, Set<string>];
  const warned = (place: Place, what: string, name: string, known: Set<string>): void => {
    if (known.has(name)) return;
    const remedy = (): string => didYouMean(name, known) ?? 'it must be declared in a layer below, or the rule is about nothing';
    const message = `no ${what} ${quote(name)} here`;
    if (!problems.has(place, message)) problems.add(place, message, { remedy, severity: 'warning' });
  };
  if (value.agents !== '*' && value.agents !== undefined)
    for (const [index, name] of value.agents.entries())
      warned(whose === undefined ? placeAt(node, 'agents', index) : placeAt(whose, index), 'agent', name, agentNames);
  for (const [index, selector] of value.tools.entries()) {
    const place = placeAt(node, value.verb, index);
    if ('tool' in selector) {
      const isPrefix = selector.tool.endsWith('*');
      warned(
        place,
        isPrefix ? 'tool server' : 'tool',
        isPrefix ? serverOfPrefix(selector.tool) : selector.tool,
        isPrefix ? serverNames : toolNames,
      );
    } else if (selector.server !== undefined) warned(place, 'tool server', selector.server, serverNames);
  }
  for (const [index, { tool }] of (value.after ?? []).entries())
    if (!toolNames.has(tool)) unknown(placeAt(node, 'after', index), 'tool', tool, toolNames);
}

function serverOfPrefix(prefix: string): string {
  return prefix.slice(0, prefix.indexOf('/'));
}

interface RuleSurroundings {
  readonly agent: Agent;
  readonly tools: ReadonlyMap<string, Tool>;
  readonly unknown: Unknown;
  /** Whether it is known what the agent uses. */
  readonly isSure: boolean;
}

function checkRuleTools({ value, node }: Located<Rule>, { agent, tools, unknown, isSure }: RuleSurroundings, problems: Problems): void {
  const usable = (place: Place, name: string): void => {
    const isNamed = tools.has(name);
    if (!isNamed) return unknown(place, 'tool', name, tools.keys());
    const server = serverOf(name as Tool['name']);
    if (isSure && !agent.uses.includes(server))
      problems.add(place, `agent ${quote(agent.name)} does not use ${quote(server)}`, { remedy: `add it to the agent's \`uses\`` });
  };
  for (const [index, selector] of value.tools.entries()) {
    const place = placeAt(node, value.verb, index);
    if ('tool' in selector && !selector.tool.endsWith('*')) usable(place, selector.tool);
    if (isSure && 'server' in selector && selector.server !== undefined && !agent.uses.includes(selector.server)) {
      problems.add(place, `agent ${quote(agent.name)} does not use ${quote(selector.server)}`, {
        remedy: () => didYouMean(selector.server ?? '', agent.uses),
      });
    }
  }
  for (const [index, { tool, with: values = {} }] of (value.after ?? []).entries()) {
    usable(placeAt(node, 'after', index), tool);
    const known = Object.keys((tools.get(tool)?.arguments['properties'] as object | undefined) ?? {});
    for (const name of Object.keys(values))
      if (tools.has(tool) && !known.includes(name))
        problems.add(placeAt(node, 'after', index, 'with', name), `${quote(tool)} has no argument ${quote(name)}`, {
          remedy: () => orListed(name, known) ?? 'it takes none',
        });
  }
}

/** An agent is observed by one at most: two whose times follow each other would be longer than either may be. */
function checkObserves({ observes, agents }: Declared, problems: Problems): void {
  const names = new Set<string>(agents.map(({ value: { name } }) => name));
  const taken = new Map<string, Place>();
  for (const { value, node } of observes) {
    const listed = value.agents === '*' ? [...names] : value.agents;
    for (const [index, name] of listed.entries()) {
      const place = value.agents === '*' ? placeAt(node, 'agents') : placeAt(node, 'agents', index);
      const first = taken.get(name);
      taken.set(name, first ?? place);
      if (first !== undefined)
        problems.add(place, `agent ${quote(name)} is observed twice`, {
          remedy: first.file === undefined ? undefined : `first at ${first.file}:${first.line ?? 1}`,
        });
      if (!names.has(name))
        problems.add(place, `no agent ${quote(name)} here`, {
          remedy: () => didYouMean(name, names) ?? 'it must be declared in a layer below',
          severity: 'warning',
        });
    }
  }
}

interface TestSurroundings {
  readonly attributes: ReadonlyMap<string, AttributeForm>;
  readonly unknown: Unknown;
}

function checkTests(declared: Declared, { attributes, unknown }: TestSurroundings, problems: Problems): void {
  const agents = new Set<string>(declared.agents.map(({ value }) => value.name));
  const tools = new Set<string>(declared.tools.map(({ value }) => value.name));
  for (const { value, node } of declared.tests) {
    if (!agents.has(value.agent)) unknown(placeAt(node, 'agent'), 'agent', value.agent, agents);
    checkGiven({ value, node }, attributes, problems);
    for (const key of ['cases', 'steps'] as const) {
      for (const [index, { call, expect }] of value[key].entries()) {
        if (!tools.has(call) && expect !== 'tool_not_allowed') unknown(placeAt(node, key, index, 'call'), 'tool', call, tools);
      }
    }
    for (const [index, name] of value.given.session.completed.entries()) {
      if (!tools.has(name)) unknown(placeAt(node, 'given', 'session', 'completed', index), 'tool', name, tools);
    }
  }
}
