/** Every bound of the language, in one place. Spec: policy-v1 section 8. Exceeding one is a problem with its remedy. */

export const LIMITS = {
  /** UTF-16 code units of one YAML document file, or of one key file. */
  fileCharsMax: 262_144,
  filesMax: 2_000,
  /** Lexical tokens of one file: bounds the parser's work and the number of problems that it can find. */
  fileTokensMax: 60_000,
  documentsMax: 10_000,
  /** Nesting of lists and maps in a document. */
  nestingMax: 32,
  /** Bytes of one bundle part. */
  partBytesMax: 33_554_432,
  agentsMax: 1_000,
  serversMax: 1_000,
  toolsMax: 5_000,
  issuersMax: 100,
  credentialsMax: 1_000,
  callerMethodsMax: 32,
  /** Rows of one method. */
  callerPrincipalsMax: 10_000,
  /** Ten years. */
  credentialAgeMsMax: 315_360_000_000,
  rulesMax: 20_000,
  testSuitesMax: 5_000,
  casesMax: 1_000,
  environmentValuesMax: 1_000,
  /** Entries of any one list in a rule (selectors, roles, scopes, conditions, tools). */
  listMax: 256,
  /** Code units of any one string that is not an expression: names, roles, descriptions, URLs. */
  textCharsMax: 4_096,
  expressionCharsMax: 2_000,
  expressionNodesMax: 400,
  expressionDepthMax: 24,
  /** Steps that one evaluation can take at the very most: nodes, times the caps of the lists that macros walk. */
  expressionCostMax: 200_000,
  /** Pairs of a rule and a tool of its agent, over the whole bundle: bounds the index. */
  rulePairsMax: 500_000,
  /** Nodes of conditions and members of narrowed schemas judged while compiling, each for each tool: about two seconds. */
  compileStepsMax: 20_000_000,
  /** Compiled expressions kept at a time. */
  programsMax: 4_096,
  /** Problems reported at a time; the rest is counted. */
  problemsMax: 200,
  /** Of a limit, or of denials. */
  countMax: 1_000_000,
  /** Agents between a person and the one that calls. */
  chainMax: 16,
  /** Hops of one list: what fits a request's head. */
  hopsMax: 8,
  trustDomainsMax: 100,
  /** Between two dates of a call: a hundred years. */
  rangeMsMax: 3_155_760_000_000,
  /** A window of a limit: 400 days. */
  windowMsMax: 34_560_000_000,
  layersMax: 16,
  observesMax: 1_000,
  /** From the beginning of observing to its end: 30 days. */
  observeMsMax: 2_592_000_000,
  sessionMaxMsMax: 604_800_000,
  tokenLifetimeMsMax: 86_400_000,
  /** A token that was withdrawn is believed for so long at the most. */
  introspectionCacheMsMax: 300_000,
  /** A key that was withdrawn stays good for so long at the most. */
  jwksAgeMsMax: 86_400_000,
  /** What a directory took back stays true for so long at the most, where nobody can say so. */
  directoryAgeMsMax: 86_400_000,
} as const;

/** How long the lists can be that an expression walks; a macro's cost is counted with these. */
export const LIST_CAPS = {
  roles: 256,
  scopes: 256,
  classes: 256,
  attribute: 256,
  environment: 1_000,
  chain: 16,
  sessionEvents: 10_000,
  /** Values that a session notes under one name. */
  notes: 1_000,
  /** A list in a call's arguments whose schema sets no `maxItems`: all that a judged document can hold (strict). */
  argument: 100_000,
} as const;
