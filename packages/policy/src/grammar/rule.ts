/** Rules: read from documents and parts alike, and written back in the same form. */

import { Decimal, EFFECTS } from '@sallyport/model';
import type { AgentName, Json, JsonObject } from '@sallyport/model';
import { DEMANDS, DEMAND_NAMES, demandsOf } from '../demand/demands.ts';
import { expression } from '../reader/condition.ts';
import { agentName, className, ruleId, scope, serverName, token, tokenOrReference, toolNameReader } from '../reader/forms.ts';
import { LIMITS } from '../reader/limits.ts';
import { quote } from '../reader/node.ts';
import type { Problems } from '../reader/node.ts';
import { count, isTrue } from '../reader/read-more.ts';
import type { Fields, Reader } from '../reader/read.ts';
import { duration, fields, formatSpan, list, oneOf, record, text } from '../reader/read.ts';
import type {
  Budget,
  Concerned,
  DemandValues,
  LimitSpan,
  Max,
  Once,
  Precondition,
  Rule,
  RuleBody,
  RuleFor,
  Selector,
  Sequence,
  Verb,
} from '../rule.ts';
import { METHODS, schemaNode } from './catalog.ts';

const VERBS = ['allow', 'deny', 'require'] as const;
const LIMIT_FIELDS = ['once', 'max', 'sequence', 'budget'] as const;
/** What a deny rule cannot have, as authors write it. */
const REQUIREMENTS: readonly string[] = [
  'scopes',
  'bind',
  'arguments',
  'after',
  ...LIMIT_FIELDS,
  ...DEMAND_NAMES.map((name) => DEMANDS[name].field),
];

/** A rule inside a Policy document, which says whose it is. */
export function ruleOf(whose: Concerned): Reader<Rule> {
  return (node, problems) => {
    const declared = fields(node, problems, 'a rule', ['id!', ...VERBS, 'for', 'when', 'shadow', ...REQUIREMENTS]);
    return declared === undefined ? undefined : readRule(whose, declared, problems);
  };
}

/** A rule of a part, which says itself whose it is. */
export const rule: Reader<Rule> = (node, problems) => {
  const declared = fields(node, problems, 'a rule', ['agent', 'agents', 'id!', ...VERBS, 'for', 'when', 'shadow', ...REQUIREMENTS]);
  const whose = declared === undefined ? undefined : concerned('a rule', declared, problems);
  return declared === undefined || whose === undefined ? undefined : readRule(whose, declared, problems);
};

/** `agent: triage`, `agents: "*"` or `agents: [triage, billing]`: exactly one of the two fields. */
export function concerned(what: string, declared: Fields, problems: Problems): Concerned | undefined {
  if (declared.has('agent') === declared.has('agents'))
    return problems.add(declared.place, `${what} has either \`agent\` or \`agents\``, { remedy: 'such as agent: support-triage' });
  const agent = declared.get('agent', agentName);
  if (agent !== undefined) return { agent };
  const agents = declared.get('agents', agentNames);
  return agents === undefined ? undefined : { agents };
}

/** `"*"`, or a list of names. */
export const agentNames: Reader<'*' | readonly AgentName[]> = (node, problems) =>
  node.kind === 'scalar' && node.value === '*' ? '*' : list('`agents`', agentName, { min: 1, key: (entry) => entry })(node, problems);

export function encodeAgents(agents: '*' | readonly AgentName[]): Json {
  return agents === '*' ? agents : agents.toSorted();
}

function readRule(whose: Concerned, declared: Fields, problems: Problems): Rule | undefined {
  const id = declared.get('id', ruleId);
  const verb = verbOf(declared, problems);
  const tools =
    verb === undefined
      ? undefined
      : declared.get(verb, list(`\`${verb}\``, selector, { min: 1, key: (entry) => JSON.stringify(encodeSelector(entry)) }));
  const demands: Partial<DemandValues> = Object.fromEntries(
    DEMAND_NAMES.map((name) => [name, declared.get(DEMANDS[name].field, DEMANDS[name].read as Reader<unknown>)]),
  );
  const parts = {
    shadow: declared.get('shadow', isTrue),
    for: declared.get('for', ruleFor),
    scopes: declared.get('scopes', list('`scopes`', scope, { min: 1, key: (entry) => entry })),
    bind: declared.get('bind', list('`bind`', expression, { min: 1, key: (entry) => entry })),
    arguments: declared.get('arguments', argumentSchemas),
    after: declared.get('after', list('`after`', precondition, { min: 1, key: (entry) => JSON.stringify(encodePrecondition(entry)) })),
    when: declared.get('when', expression),
    once: declared.get('once', once),
    max: declared.get('max', max),
    sequence: declared.get('sequence', sequence),
    budget: declared.get('budget', budget),
    ...demands,
  };
  if (verb === 'deny') {
    for (const requirement of REQUIREMENTS.filter((key) => declared.has(key))) {
      problems.add(declared.node(requirement)?.place ?? declared.place, `a deny rule cannot have \`${requirement}\``, {
        remedy: 'narrow it with `for` and `when`',
      });
    }
  }
  if (verb === 'require' && demands.isolation === 'advisory')
    problems.add(declared.node('isolation')?.place ?? declared.place, 'a require rule cannot ask for `isolation: advisory`', {
      remedy: 'it would ask for nothing; say it in the allow rule, or once for all in the Agent',
    });
  if (declared.has('shadow')) {
    for (const limit of LIMIT_FIELDS.filter((key) => declared.has(key))) {
      problems.add(declared.node(limit)?.place ?? declared.place, `a rule in shadow cannot have ${quote(limit)}`, {
        remedy: 'it reserves nothing, so that a limit of its is never reached',
      });
    }
  }
  // What is granted is granted to an agent by name: a line that grants to all is the line that nobody reads again.
  if (verb === 'allow' && whose.agent === undefined)
    problems.add(declared.node('allow')?.place ?? declared.place, 'a policy across agents cannot allow', {
      remedy: 'it has `deny` and `require` rules alone; allow in a Policy of one `agent`',
    });
  if (id === undefined || verb === undefined || tools === undefined) return undefined;
  const present = Object.fromEntries(Object.entries(parts).filter(([, part]) => part !== undefined)) as Partial<RuleBody>;
  return { id, ...whose, verb, tools, ...present };
}

function verbOf(declared: Fields, problems: Problems): Verb | undefined {
  const verbs = VERBS.filter((verb) => declared.has(verb));
  if (verbs.length === 1) return verbs[0];
  if (verbs.length === 0 && VERBS.some((verb) => declared.meant.has(verb))) return undefined;
  return problems.add(declared.place, 'a rule has exactly one of `allow`, `deny` and `require`', {
    remedy: 'such as allow: [server/tool]',
  });
}

const TOOL_PATTERN = {
  test: (value: string) => /^[a-z][a-z0-9-]{0,62}\/(?:[A-Za-z0-9_.-]{1,128}|[A-Za-z0-9_.-]{0,127}\*)$/.test(value),
  words: 'a tool (server/tool), or a prefix of one (server/get_*)',
};

/** `server/tool`, `server/prefix*`, or `{ server, effect, class }` with at least one member. */
export const selector: Reader<Selector> = (node, problems) => {
  if (node.kind === 'scalar') {
    const tool = text('a tool', TOOL_PATTERN)(node, problems);
    return tool === undefined ? undefined : { tool };
  }
  const declared = fields(node, problems, 'a selector', ['server', 'effect', 'class', 'method']);
  if (declared === undefined) return undefined;
  if (!['server', 'effect', 'class', 'method'].some((key) => declared.has(key)))
    return problems.add(node.place, 'an empty selector', { remedy: 'name a server, an effect, a class or a method' });
  const server = declared.get('server', serverName);
  const effect = declared.get('effect', oneOf('effect', EFFECTS));
  const name = declared.get('class', className);
  const method = declared.get('method', oneOf('method', METHODS));
  return {
    ...(server === undefined ? {} : { server }),
    ...(effect === undefined ? {} : { effect }),
    ...(name === undefined ? {} : { class: name }),
    ...(method === undefined ? {} : { method }),
  };
};

const ruleFor: Reader<RuleFor> = (node, problems) => {
  const declared = fields(node, problems, '`for`', ['roles', 'tenants', 'principals']);
  if (declared === undefined) return undefined;
  const lists = {
    roles: declared.get('roles', list('`roles`', token, { min: 1, key: (entry) => entry })),
    tenants: declared.get('tenants', list('`tenants`', tokenOrReference, { min: 1, key: (entry) => entry })),
    principals: declared.get('principals', list('`principals`', tokenOrReference, { min: 1, key: (entry) => entry })),
  };
  const given = Object.keys(lists).filter((key) => declared.has(key));
  if (given.length === 0)
    return problems.add(node.place, '`for` names nobody', { remedy: 'leave it out, or name roles, tenants or principals' });
  return Object.fromEntries(Object.entries(lists).filter(([, names]) => names !== undefined)) as RuleFor;
};

const ARGUMENT = { test: (name: string) => name.length <= 128 && name.isWellFormed(), words: 'the name of an argument' };

/** A tool, or a tool and what its arguments must have been. */
const precondition: Reader<Precondition> = (node, problems) => {
  if (node.kind === 'scalar') {
    const tool = toolNameReader(node, problems);
    return tool === undefined ? undefined : { tool };
  }
  const named = node.kind === 'map' ? node.entries.get('tool')?.value : undefined;
  if (node.kind === 'map' && named?.kind === 'scalar' && node.entries.size === 1)
    return problems.add(node.place, 'a precondition lacks `with`', { remedy: `write ${named.text} alone` });
  const declared = fields(node, problems, 'a precondition', ['tool!', 'with!']);
  const tool = declared?.get('tool', toolNameReader);
  const values = declared?.get('with', record('`with`', expression, ARGUMENT));
  if (tool === undefined || values === undefined) return undefined;
  if (Object.keys(values).length === 0) return problems.add(node.place, '`with` names no argument', { remedy: `write ${tool} alone` });
  return { tool, with: values };
};

function encodePrecondition({ tool, with: values }: Precondition): Json {
  return values === undefined ? tool : { tool, with: { ...values } };
}

/** Words for what limits are most often counted by. */
const COUNTED_BY: Readonly<Record<string, string>> = {
  principal: 'principal.id',
  tenant: 'principal.tenant',
  agent: 'agent.name',
  case: 'session.case',
};

const SPAN_FIELDS = ['per', 'within'] as const;

function limitSpan(declared: Fields): LimitSpan {
  const per = declared.get('per', expression);
  const withinMs = declared.get('within', duration('`within`', LIMITS.windowMsMax));
  return { ...(per === undefined ? {} : { per: COUNTED_BY[per] ?? per }), ...(withinMs === undefined ? {} : { withinMs }) };
}

const once: Reader<Once> = (node, problems) => {
  if (node.kind !== 'map') return problems.add(node.place, '`once` must be a map', { remedy: 'write once: {}, or once: { per: case }' });
  const declared = fields(node, problems, '`once`', SPAN_FIELDS);
  return declared === undefined ? undefined : limitSpan(declared);
};

const max: Reader<Max> = (node, problems) => {
  const declared = fields(node, problems, '`max`', ['count!', ...SPAN_FIELDS]);
  const allowed = declared?.get('count', count('`count`', 1, LIMITS.countMax));
  return declared === undefined || allowed === undefined ? undefined : { count: allowed, ...limitSpan(declared) };
};

const sequence: Reader<Sequence> = (node, problems) => {
  const consecutive = fields(node, problems, '`sequence`', ['consecutive!'])?.get(
    'consecutive',
    count('`consecutive`', 1, LIMITS.countMax),
  );
  return consecutive === undefined ? undefined : { consecutive };
};

const budget: Reader<Budget> = (node, problems) => {
  const declared = fields(node, problems, '`budget`', ['sum!', 'max!', ...SPAN_FIELDS]);
  const sum = declared?.get('sum', expression);
  const most = declared?.get('max', budgetMax);
  return declared === undefined || sum === undefined || most === undefined ? undefined : { sum, max: most, ...limitSpan(declared) };
};

/** A decimal as text, so that no reader makes a double of it, or a value of the environment. */
const budgetMax: Reader<string> = (node, problems) => {
  const written = node.kind === 'scalar' ? node.text : '';
  if (/^\$\{env\.[a-z][a-z0-9_]*\}$/.test(written)) return written;
  const value = Decimal.parse(written);
  if (value !== undefined && value.compare(Decimal.fromBigInt(0n)) >= 0) return value.toString();
  return problems.add(node.place, '`max` must be a decimal that is not negative, or ${env.x}', { remedy: 'such as "500.00"' });
};

const argumentSchemas: Reader<Readonly<Record<string, JsonObject>>> = (node, problems) => {
  const schemas = record('`arguments`', schemaNode, ARGUMENT)(node, problems);
  if (node.kind === 'map' && node.entries.size === 0) return problems.add(node.place, '`arguments` names none', { remedy: 'leave it out' });
  return schemas;
};

export function encodeSelector(value: Selector): Json {
  if ('tool' in value) return value.tool;
  const { server, effect, method } = value;
  return {
    ...(server === undefined ? {} : { server }),
    ...(effect === undefined ? {} : { effect }),
    ...(value.class === undefined ? {} : { class: value.class }),
    ...(method === undefined ? {} : { method }),
  };
}

/** Lists whose order means nothing are sorted, so that the same rule has the same bytes. */
export function encodeRule(value: Rule): Json {
  const whose: Record<string, Json> = value.agent === undefined ? { agents: encodeAgents(value.agents) } : { agent: value.agent };
  const json: Record<string, Json> = { ...whose, id: value.id, [value.verb]: value.tools.map(encodeSelector).toSorted(byText) };
  if (value.shadow === true) json['shadow'] = true;
  if (value.for !== undefined)
    json['for'] = Object.fromEntries(Object.entries(value.for).map(([key, names]: [string, readonly string[]]) => [key, names.toSorted()]));
  if (value.scopes !== undefined) json['scopes'] = value.scopes.toSorted();
  if (value.bind !== undefined) json['bind'] = value.bind;
  if (value.arguments !== undefined) json['arguments'] = value.arguments;
  if (value.after !== undefined) json['after'] = value.after.map(encodePrecondition);
  if (value.when !== undefined) json['when'] = value.when;
  for (const demand of demandsOf(value)) json[demand.field] = demand.encode(demand.value);
  if (value.max !== undefined) json['max'] = { count: value.max.count, ...encodeSpan(value.max) };
  if (value.sequence !== undefined) json['sequence'] = { consecutive: value.sequence.consecutive };
  if (value.budget !== undefined) json['budget'] = { sum: value.budget.sum, max: value.budget.max, ...encodeSpan(value.budget) };
  if (value.once !== undefined) json['once'] = encodeSpan(value.once);
  return json;
}

function encodeSpan({ per, withinMs }: LimitSpan): { readonly [key: string]: Json } {
  return { ...(per === undefined ? {} : { per }), ...(withinMs === undefined ? {} : { within: formatSpan(withinMs) }) };
}

function byText(a: Json, b: Json): number {
  const [left, right] = [JSON.stringify(a), JSON.stringify(b)];
  return left < right ? -1 : left > right ? 1 : 0;
}
