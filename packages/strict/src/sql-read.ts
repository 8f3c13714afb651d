/**
 * The format `sql-read`: one SQL statement that reads and does nothing else, whichever of the common databases reads it
 * (PostgreSQL, MySQL, SQLite, SQL Server). They disagree on comments, quotes, escapes and variables, and each difference
 * is a way to hide a second statement; so whatever two of them could read differently is refused, and what is left is
 * judged word by word against what a query needs. It does not say which tables may be read: that is the database's own
 * to grant. docs/spec/arguments-v1.md section 4.5.
 */

/** Whether a text is one statement that only reads. Linear in its length. */
export function isReadOnlySql(text: string): boolean {
  const tokens = tokensOf(text);
  if (tokens?.at(-1) === ';') tokens.pop();
  const first = tokens?.[0];
  return tokens !== undefined && (first === 'select' || first === 'with') && tokens.every((_, at) => stands(tokens, at));
}

/** Stands for a quoted text or name and for a number: never a word, and nothing that can be called. */
const QUOTED = "'";
const NUMBER = '0';

/**
 * One alternative for each kind of token, tried where the last one ended. Quotes end at their own doubled-free end and
 * hold no backslash, which only some databases take for an escape; names in backticks and brackets are plain words,
 * because not all know those quotes. A number is taken whole: cut short at a point, `1.e5delete` would hide its word. There
 * are no comments (`--`, `/*`, `#`), no variables (`@`, `$`, `?`, single `:`), no escapes. Outside of quotes all is ASCII, so that no
 * other space or letter means something to one of them.
 */
const TOKEN =
  /[ \t\r\n]+|('(?:[^'\\\p{Cc}]|'')*'|"(?:[^"\\\p{Cc}]|"")*"|`[A-Za-z_][A-Za-z0-9_]*`|\[[A-Za-z0-9_]+\])|([A-Za-z_][A-Za-z0-9_]*)|((?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?(?![A-Za-z0-9_.]))|(::|\|\||<=|>=|<>|!=|-(?!-)|\/(?!\*)|[+*%<>=(),.;])/uy;

/** Words in lower case, signs as they are; `undefined` where anything is not known. */
function tokensOf(text: string): string[] | undefined {
  const tokens: string[] = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.length) {
    const match = TOKEN.exec(text);
    if (match === null) return undefined;
    const [, quoted, word, number, sign] = match;
    if (quoted !== undefined) tokens.push(QUOTED);
    else if (word !== undefined) tokens.push(word.toLowerCase());
    else if (number !== undefined) tokens.push(NUMBER);
    else if (sign !== undefined) tokens.push(sign);
  }
  return tokens;
}

function stands(tokens: readonly string[], at: number): boolean {
  const token = tokens[at] ?? '';
  if (token === ';') return false;
  if (token === '(') return isOpening(tokens[at - 1], tokens[at - 2]);
  // `REPLACE INTO` writes, `replace(a, b, c)` is a function like any other.
  if (token === 'replace') return tokens[at + 1] === '(';
  return !ACTING.has(token);
}

/** A parenthesis groups, or calls one of the functions that only compute, by their own names and not under a schema's. */
function isOpening(before: string | undefined, beforeThat: string | undefined): boolean {
  if (before === undefined || before === QUOTED || before === NUMBER || before === ')') return false;
  if (!/^[a-z_]/.test(before)) return true;
  // Behind a dot every word is a name, keywords too.
  return beforeThat !== '.' && (BEFORE_PARENTHESIS.has(before) || FUNCTIONS.has(before));
}

const words = (text: string): ReadonlySet<string> => new Set(text.split(/\s+/));

/**
 * Words that change, lock, call or wait in the middle of what began as a query: parts of one statement, and in SQL Server
 * whole statements, which need no semicolon between them. A column of such a name is written in quotes.
 */
const ACTING = words(
  `insert update delete merge upsert into returning for lock outfile dumpfile procedure
   set drop alter create truncate grant revoke deny exec execute declare deallocate use kill shutdown bulk backup restore
   begin commit rollback savepoint checkpoint waitfor reconfigure dbcc raiserror throw send receive revert setuser
   writetext updatetext readtext enable disable openrowset opendatasource openquery openxml
   while goto add rename save conversation xlock updlock tablockx holdlock
   attach detach vacuum pragma`,
);

/** Keywords after which a parenthesis groups, and calls nothing. */
const BEFORE_PARENTHESIS = words(
  `select from where and or not in exists any all some as on using over filter within group by having when then else case
   between like union except intersect distinct values join with materialized partition order limit offset top is`,
);

/** Functions that compute from their arguments, and the names of types that take a length. Anything else is refused. */
const FUNCTIONS = words(
  `count sum avg min max total stddev stddev_pop stddev_samp variance var_pop var_samp
   string_agg group_concat array_agg json_agg json_object_agg bool_and bool_or every
   row_number rank dense_rank percent_rank cume_dist ntile lag lead first_value last_value nth_value
   coalesce nullif ifnull isnull nvl iif if greatest least cast try_cast convert
   abs round ceil ceiling floor trunc mod power sqrt exp ln log log10 log2 sign
   lower upper initcap length char_length character_length octet_length len substr substring trim ltrim rtrim btrim replace
   concat concat_ws left right lpad rpad reverse position instr charindex locate strpos split_part ascii char chr
   date time datetime timestamp timestamptz interval strftime julianday date_trunc date_part datepart datename extract
   to_char to_date to_timestamp to_number make_date now current_date current_time current_timestamp localtime localtimestamp
   curdate curtime getdate sysdatetime year quarter month week day dayofweek dayofyear hour minute second
   date_add date_sub dateadd datediff timestampdiff age last_day unix_timestamp from_unixtime date_format format
   json_extract json_value json_query json_array_length json_extract_path_text jsonb_extract_path_text
   numeric decimal varchar nvarchar character float`,
);
