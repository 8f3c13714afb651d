/** Rules: read from documents and parts alike, and written back in the same form. */

import { EFFECTS } from '@sallyport/model';
import type { AgentName, Json, JsonObject } from '@sallyport/model';
import { agentName, className, ruleId, serverName, token, tokenOrReference, toolNameReader } from './forms.ts';
import { schemaNode } from './grammar-catalog.ts';
import { LIMITS } from './limits.ts';
import type { Node, Problems } from './node.ts';
import type { Fields, Reader } from './read.ts';
import { duration, fields, formatSpan, list, oneOf, record, text } from './read.ts';
import type { Once, Rule, RuleFor, Selector, Verb } from './rule.ts';

const VERBS = ['allow', 'deny', 'require'] as const;
const REQUIREMENTS = ['scopes', 'bind', 'arguments', 'after', 'once'] as const;

/** A rule inside a Policy document, whose agent stands beside it. */
export function ruleOf(agent: AgentName): Reader<Rule> {
  return (node, problems) => {
    const declared = fields(node, problems, 'a rule', ['id!', ...VERBS, 'for', 'when', ...REQUIREMENTS]);
    return declared === undefined ? undefined : readRule(agent, declared, problems);
  };
}

/** A rule of a part, which names its agent. */
export const rule: Reader<Rule> = (node, problems) => {
  const declared = fields(node, problems, 'a rule', ['agent!', 'id!', ...VERBS, 'for', 'when', ...REQUIREMENTS]);
  const agent = declared?.get('agent', agentName);
  return declared === undefined || agent === undefined ? undefined : readRule(agent, declared, problems);
};

function readRule(agent: AgentName, declared: Fields, problems: Problems): Rule | undefined {
  const id = declared.get('id', ruleId);
  const verb = verbOf(declared, problems);
  const tools =
    verb === undefined
      ? undefined
      : declared.get(verb, list(`\`${verb}\``, selector, { min: 1, key: (entry) => JSON.stringify(encodeSelector(entry)) }));
  const parts = {
    for: declared.get('for', ruleFor),
    scopes: declared.get('scopes', list('`scopes`', token, { min: 1, key: (entry) => entry })),
    bind: declared.get('bind', list('`bind`', expression, { min: 1, key: (entry) => entry })),
    arguments: declared.get('arguments', argumentSchemas),
    after: declared.get('after', list('`after`', toolNameReader, { min: 1, key: (entry) => entry })),
    when: declared.get('when', expression),
    once: declared.get('once', once),
  };
  if (verb === 'deny') {
    for (const requirement of REQUIREMENTS.filter((key) => declared.has(key))) {
      problems.add(declared.node(requirement)?.place ?? declared.place, `a deny rule cannot have \`${requirement}\``, {
        remedy: 'narrow it with `for` and `when`',
      });
    }
  }
  if (id === undefined || verb === undefined || tools === undefined) return undefined;
  const present = Object.fromEntries(Object.entries(parts).filter(([, part]) => part !== undefined)) as Partial<Rule>;
  return { id, agent, verb, tools, ...present };
}

function verbOf(declared: Fields, problems: Problems): Verb | undefined {
  const verbs = VERBS.filter((verb) => declared.has(verb));
  if (verbs.length === 1) return verbs[0];
  return problems.add(declared.place, 'a rule has exactly one of `allow`, `deny` and `require`', {
    remedy: 'such as allow: [server/tool]',
  });
}

const TOOL_PATTERN = {
  test: (value: string) => /^[a-z][a-z0-9-]{0,62}\/(?:[A-Za-z0-9_.-]{1,128}|[A-Za-z0-9_.-]{0,127}\*)$/.test(value),
  words: 'a tool (server/tool), or a prefix of one (server/get_*)',
};

/** `server/tool`, `server/prefix*`, or `{ server, effect, class }` with at least one member. */
const selector: Reader<Selector> = (node, problems) => {
  if (node.kind === 'scalar') {
    const tool = text('a tool', TOOL_PATTERN)(node, problems);
    return tool === undefined ? undefined : { tool };
  }
  const declared = fields(node, problems, 'a selector', ['server', 'effect', 'class']);
  if (declared === undefined) return undefined;
  if (!['server', 'effect', 'class'].some((key) => declared.has(key)))
    return problems.add(node.place, 'an empty selector', { remedy: 'name a server, an effect or a class' });
  const server = declared.get('server', serverName);
  const effect = declared.get('effect', oneOf('effect', EFFECTS));
  const name = declared.get('class', className);
  return {
    ...(server === undefined ? {} : { server }),
    ...(effect === undefined ? {} : { effect }),
    ...(name === undefined ? {} : { class: name }),
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

const once: Reader<Once> = (node, problems) => {
  const declared = fields(node, problems, '`once`', ['per', 'within']);
  if (declared === undefined) return undefined;
  const per = declared.get('per', expression);
  const withinMs = declared.get('within', duration('`within`', LIMITS.windowMsMax));
  return { ...(per === undefined ? {} : { per }), ...(withinMs === undefined ? {} : { withinMs }) };
};

/** CEL as text; what it says is judged later, against the types of the tools it is about. */
function expression(node: Node, problems: Problems): string | undefined {
  if (node.kind === 'scalar' && typeof node.value === 'boolean') {
    return problems.add(node.place, 'a condition must read the call', { remedy: 'leave it out: a constant decides nothing' });
  }
  return text('a condition', undefined, LIMITS.expressionCharsMax)(node, problems);
}

const ARGUMENT = { test: (name: string) => name.length <= 128 && name.isWellFormed(), words: 'the name of an argument' };

const argumentSchemas: Reader<Readonly<Record<string, JsonObject>>> = (node, problems) => {
  const schemas = record('`arguments`', schemaNode, ARGUMENT)(node, problems);
  if (node.kind === 'map' && node.entries.size === 0) return problems.add(node.place, '`arguments` names none', { remedy: 'leave it out' });
  return schemas;
};

export function encodeSelector(value: Selector): Json {
  if ('tool' in value) return value.tool;
  const { server, effect } = value;
  return {
    ...(server === undefined ? {} : { server }),
    ...(effect === undefined ? {} : { effect }),
    ...(value.class === undefined ? {} : { class: value.class }),
  };
}

/** Lists whose order means nothing are sorted, so that the same rule has the same bytes. */
export function encodeRule(value: Rule): Json {
  const json: Record<string, Json> = { agent: value.agent, id: value.id, [value.verb]: value.tools.map(encodeSelector).toSorted(byText) };
  if (value.for !== undefined)
    json['for'] = Object.fromEntries(Object.entries(value.for).map(([key, names]: [string, readonly string[]]) => [key, names.toSorted()]));
  if (value.scopes !== undefined) json['scopes'] = value.scopes.toSorted();
  if (value.bind !== undefined) json['bind'] = value.bind;
  if (value.arguments !== undefined) json['arguments'] = value.arguments;
  if (value.after !== undefined) json['after'] = value.after;
  if (value.when !== undefined) json['when'] = value.when;
  if (value.once !== undefined) {
    const { per, withinMs } = value.once;
    json['once'] = { ...(per === undefined ? {} : { per }), ...(withinMs === undefined ? {} : { within: formatSpan(withinMs) }) };
  }
  return json;
}

function byText(a: Json, b: Json): number {
  const [left, right] = [JSON.stringify(a), JSON.stringify(b)];
  return left < right ? -1 : left > right ? 1 : 0;
}
