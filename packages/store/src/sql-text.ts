/**
 * Reads the SQL of services: one text for all engines. A statement touches only tables that carry its service's name, by
 * plain names; a migration makes only such tables and indexes. What this reader does not know is refused, so that one
 * engine cannot be asked for what another lacks. It guards against mistakes in our own text; no text comes from callers.
 */

import { Bug } from '@sallyport/model';

type Token = { readonly kind: 'word' | 'text' | 'number' | 'sign'; readonly text: string };

export interface ReadStatement {
  readonly toWrite: boolean;
  /** In PostgreSQL's words. */
  readonly postgres: string;
}

const TOKEN = /\s*(?:([A-Za-z_][A-Za-z0-9_]*)|('(?:[^']|'')*')|([0-9]+)|(<=|>=|<>|!=|\|\||[(),.;?=<>*+-]))/y;

/** Names of the engines' own tables. */
const RESERVED: ReadonlySet<string> = new Set(['store', 'sqlite', 'pg']);

export function isServiceName(name: string): boolean {
  return /^[a-z][a-z0-9]*$/.test(name) && !RESERVED.has(name);
}

/** Throws a Bug where the statement is not one of its service. */
export function readStatement(service: string, sql: string): ReadStatement {
  const tokens = tokensOf(sql);
  judgeStatement(service, tokens);
  return { toWrite: !['SELECT', 'WITH'].includes(word(tokens, 0)), postgres: format(tokens) };
}

/** The statements of a migration in PostgreSQL's words. Throws a Bug where one is not of its service, or not known here. */
export function readMigration(service: string, sql: string): readonly string[] {
  const statements = split(tokensOf(sql));
  for (const tokens of statements) judgeDefinition(service, tokens);
  return statements.map((tokens) => format(asPostgres(tokens)));
}

function tokensOf(sql: string): readonly Token[] {
  const tokens: Token[] = [];
  const end = sql.trimEnd().length;
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < end) {
    const at = TOKEN.lastIndex;
    const [, name, text, number, sign] = TOKEN.exec(sql) ?? [];
    if (name !== undefined) tokens.push({ kind: 'word', text: name });
    else if (text !== undefined) tokens.push({ kind: 'text', text });
    else if (number !== undefined) tokens.push({ kind: 'number', text: number });
    else if (sign !== undefined && !sql.startsWith('--', TOKEN.lastIndex - 1)) tokens.push({ kind: 'sign', text: sign });
    else throw new Bug(`SQL that this reader does not know: \`${sql.slice(at, at + 40).trim()}\``);
  }
  return tokens;
}

function split(tokens: readonly Token[]): readonly (readonly Token[])[] {
  const statements: Token[][] = [[]];
  for (const token of tokens) {
    if (token.kind === 'sign' && token.text === ';') statements.push([]);
    else statements.at(-1)?.push(token);
  }
  return statements.filter((statement) => statement.length > 0);
}

const BEGINNINGS: ReadonlySet<string> = new Set(['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'WITH']);
const BEFORE_TABLES: ReadonlySet<string> = new Set(['FROM', 'JOIN', 'INTO', 'REFERENCES']);

function judgeStatement(service: string, tokens: readonly Token[]): void {
  if (!BEGINNINGS.has(word(tokens, 0))) throw new Bug(`not a statement of a service: \`${format(tokens)}\``);
  // SQLite's `INSERT OR …`; the standard has ON CONFLICT.
  if (word(tokens, 1) === 'OR') throw new Bug('a conflict is said as ON CONFLICT');
  if (tokens.some(({ kind, text }) => kind === 'sign' && text === ';')) throw new Bug('one statement at a time');
  if (word(tokens, 0) === 'UPDATE') judgeTable(service, tokens, 1);
  judgeTables(service, tokens);
}

function judgeTables(service: string, tokens: readonly Token[]): void {
  for (const index of tokens.keys()) if (BEFORE_TABLES.has(word(tokens, index))) judgeTable(service, tokens, index + 1);
}

function judgeTable(service: string, tokens: readonly Token[], index: number): void {
  const name = tokens[index];
  if (name?.kind !== 'word' || !name.text.startsWith(`${service}_`))
    throw new Bug(`a statement of \`${service}\` touches \`${name?.text ?? ''}\``);
  // A second table behind a comma would not be looked at, nor one in another schema.
  const next = [1, 2, 3].map((step) => tokens[index + step]?.text ?? '');
  const alias = next[0]?.toUpperCase() === 'AS' ? 2 : 1;
  const isList = next[0] === ',' || (isWord(tokens[index + alias]) && next[alias] === ',');
  if (next[0] === '.' || isList) throw new Bug('a table is named plainly, and joined with JOIN');
}

function judgeDefinition(service: string, tokens: readonly Token[]): void {
  const own = (index: number): void => {
    if (tokens[index]?.kind !== 'word' || !tokens[index].text.startsWith(`${service}_`))
      throw new Bug(`a migration of \`${service}\` makes or changes \`${tokens[index]?.text ?? ''}\``);
  };
  const [first, second] = [word(tokens, 0), word(tokens, 1)];
  if (BEGINNINGS.has(first)) return judgeStatement(service, tokens);
  if (first === 'CREATE' && second === 'TABLE') {
    own(2);
    if (!isStrict(tokens)) throw new Bug(`a table is STRICT: \`${tokens[2]?.text ?? ''}\``);
  } else if (first === 'CREATE' && (second === 'INDEX' || (second === 'UNIQUE' && word(tokens, 2) === 'INDEX'))) {
    const at = second === 'INDEX' ? 2 : 3;
    own(at);
    if (word(tokens, at + 1) !== 'ON') throw new Bug('an index is on a table');
    own(at + 2);
  } else if (first === 'ALTER' && second === 'TABLE') {
    own(2);
    if (word(tokens, 3) !== 'ADD' || word(tokens, 4) !== 'COLUMN') throw new Bug('a table is altered by adding a column');
  } else if (first === 'DROP' && (second === 'TABLE' || second === 'INDEX')) own(2);
  else throw new Bug(`a migration does not say \`${first} ${second}\``);
  judgeTables(service, tokens);
}

/** `) STRICT` at the end, or `) STRICT, WITHOUT ROWID`. */
function isStrict(tokens: readonly Token[]): boolean {
  return tokens[lastParenthesis(tokens) + 1]?.text.toUpperCase() === 'STRICT';
}

function lastParenthesis(tokens: readonly Token[]): number {
  return tokens.findLastIndex(({ kind, text }) => kind === 'sign' && text === ')');
}

/** Bytewise order, as SQLite has it, whatever the locale of the server. */
const TYPES: ReadonlyMap<string, string> = new Map([
  ['INTEGER', 'BIGINT'],
  ['BLOB', 'BYTEA'],
  ['TEXT', 'TEXT COLLATE "C"'],
]);

function asPostgres(tokens: readonly Token[]): readonly Token[] {
  const isTable = word(tokens, 0) === 'CREATE' && word(tokens, 1) === 'TABLE';
  const kept = isTable ? tokens.slice(0, lastParenthesis(tokens) + 1) : tokens;
  if (!isTable && word(tokens, 0) !== 'ALTER') return kept;
  // A column may be called like a type: the word after a name is the type.
  return kept.map((token, index) => {
    const type = isWord(kept[index - 1]) && token.kind === 'word' ? TYPES.get(token.text.toUpperCase()) : undefined;
    return type === undefined ? token : { kind: 'word', text: type };
  });
}

/** Names here that are PostgreSQL's own words, and that no statement here means as such. */
const QUOTED: ReadonlySet<string> = new Set(['only', 'user']);

/** With `$1`, `$2` for each `?`. */
function format(tokens: readonly Token[]): string {
  let parameters = 0;
  return tokens
    .map(({ kind, text }) => {
      if (kind === 'sign' && text === '?') return `$${(parameters += 1)}`;
      return kind === 'word' && QUOTED.has(text) ? `"${text}"` : text;
    })
    .join(' ')
    .replaceAll(' . ', '.');
}

function word(tokens: readonly Token[], index: number): string {
  const token = tokens[index];
  return isWord(token) ? token.text.toUpperCase() : '';
}

function isWord(token: Token | undefined): token is Token {
  return token?.kind === 'word';
}
