/** What names may look like: ASCII and lower case where people compare them by eye, so that no two look alike. */

import { isAgentName, isCredentialName, isServerName, isToolName } from '@sallyport/model';
import type { AgentName, CredentialName, RuleId, ServerName, Tool, ToolName } from '@sallyport/model';
import { quote } from './node.ts';
import type { Node, Problems } from './node.ts';
import type { Reader } from './read.ts';
import { text } from './read.ts';

const NAME_WORDS = 'a name: 1 to 63 of a-z, 0-9 and -, starting with a letter';

export const agentName: Reader<AgentName> = named(isAgentName, 'a name of an agent', NAME_WORDS);
/** An agent of ours, or `<trust domain>/<agent>` of another trust domain. */
export const calledAgentName: Reader<string> = text('an agent', {
  test: (name) =>
    isAgentName(name.slice(name.indexOf('/') + 1)) && (!name.includes('/') || isTrustDomain(name.slice(0, name.indexOf('/')))),
  words: `${NAME_WORDS}; of another trust domain as domain/agent`,
});
/** As SPIFFE has them: lower-case letters, digits, `.`, `_` and `-`. */
export function isTrustDomain(name: string): boolean {
  return /^[a-z0-9._-]{1,255}$/.test(name);
}
export const serverName: Reader<ServerName> = named(isServerName, 'a name of a tool server', NAME_WORDS);
export const credentialName: Reader<CredentialName> = named(isCredentialName, 'a name of a credential', NAME_WORDS);
export const toolNameReader: Reader<ToolName> = named(isToolName, 'a name of a tool', 'a tool: server/tool');
export const className: Reader<string> = text('a class', { test: (name) => /^[a-z][a-z0-9_-]{0,62}$/.test(name), words: NAME_WORDS });

/** A rule's id; `default-deny` is what a record says when no rule matched. */
export const ruleId: Reader<RuleId> = (node, problems) => {
  const id = text('a rule id', { test: (name) => /^[a-z][a-z0-9-]{0,62}$/.test(name), words: NAME_WORDS })(node, problems);
  if (id === 'default-deny')
    return problems.add(node.place, '`default-deny` is what records say when no rule matched', { remedy: 'choose another id' });
  if (id === 'observe')
    return problems.add(node.place, '`observe` is what records say when an Observe let a call pass', { remedy: 'choose another id' });
  return id as RuleId | undefined;
};

/** Names that CEL can write after a dot: environment values, attributes. */
export const WORD: { test: (text: string) => boolean; words: string } = {
  test: (name) => /^[a-z][a-z0-9_]{0,62}$/.test(name) && !CEL_RESERVED.has(name),
  words: 'a word: 1 to 63 of a-z, 0-9 and _, starting with a letter, and not reserved by CEL',
};

/** Words that CEL keeps to itself. */
export const CEL_RESERVED: ReadonlySet<string> = new Set(
  'as break const continue else for function if import in let loop package namespace return true false null var void while'.split(' '),
);

/** What is printed as nothing, or changes what stands beside it, without being a control character. */
const UNSEEN = /[\s\p{C}\p{Default_Ignorable_Code_Point}]/u;
/** Scripts whose letters are taken for each other. */
const ALIKE: readonly RegExp[] = [/\p{Script=Latin}/u, /\p{Script=Cyrillic}/u, /\p{Script=Greek}/u, /\p{Script=Armenian}/u];

/** A role, scope, tenant or principal: no white space (credentials separate by it), nothing invisible. */
const TOKEN = text('a name', {
  test: (name) => /^.{1,256}$/su.test(name) && !UNSEEN.test(name),
  words: 'free of white space and invisible characters, and at most 256 long',
});

/** As `token`, with `${env.x}` allowed. Names are compared byte for byte, so one that looks like another must not pass for it. */
export const tokenOrReference: Reader<string> = (node, problems) => {
  const value = TOKEN(node, problems);
  if (value === undefined) return undefined;
  if (ALIKE.filter((script) => script.test(value)).length > 1)
    return problems.add(node.place, `${quote(value)} mixes letters of scripts that look alike`, { remedy: 'write it in one script' });
  if (value.normalize('NFC') !== value)
    return problems.add(node.place, `${quote(value)} is written with combining characters`, { remedy: 'write it composed (Unicode NFC)' });
  return value;
};

export const token: Reader<string> = (node, problems) => {
  const value = tokenOrReference(node, problems);
  if (value?.includes('${') === true) {
    return problems.add(node.place, '`${…}` is not substituted here', { remedy: 'compare with `env.x` in `when`' });
  }
  return value;
};

/**
 * A scope that a credential must hold. A word that names everything names no act, so that whoever holds it could do
 * whatever a rule was careless enough to hang on it.
 */
export const scope: Reader<string> = (node, problems) => {
  const value = token(node, problems);
  const isBroad = value !== undefined && (value.includes('*') || ALL_PURPOSE.has(value.toLowerCase().replaceAll(/[-_.:/ ]/g, '')));
  return isBroad
    ? problems.add(node.place, `the scope ${quote(value)} names everything and so nothing`, { remedy: 'name what is done: `orders:read`' })
    : value;
};

/** In lower case, without what separates words. */
export const ALL_PURPOSE: ReadonlySet<string> = new Set([
  'apiaccess',
  'api',
  'access',
  'all',
  'any',
  'allaccess',
  'fullaccess',
  'full',
  'everything',
]);

function named<T extends string>(is: (text: string) => text is T, what: string, words: string): Reader<T> {
  const reader = text(what, { test: is, words });
  return (node: Node, problems: Problems) => {
    const name = reader(node, problems);
    return name !== undefined && is(name) ? name : undefined;
  };
}

/**
 * What a name looks like at a glance: names with the same look are easily taken for each other (`rule-1`, `rule-l`).
 */
export function lookOf(name: string): string {
  return name
    .toLowerCase()
    .replaceAll('rn', 'm')
    .replaceAll('vv', 'w')
    .replaceAll(/[1i|]/g, 'l')
    .replaceAll('0', 'o')
    .replaceAll(/[-_.]/g, '');
}

/** Classes whose calls nobody takes back: never for `anonymous`, never observed. */
export const GUARDED_CLASSES: readonly string[] = ['money', 'pii', 'export'];

/** A tool that destroys, or is of such a class: it wants an agent that cannot go round its sidecar, and one person at a time. */
export function isGuarded({ effect, classes }: Pick<Tool, 'effect' | 'classes'>): boolean {
  return effect === 'destructive' || classes.some((name) => GUARDED_CLASSES.includes(name));
}
