/** The language features that this build understands. A bundle that lists another one is refused, not half-read. */

/** `policy-v1` section 9: one name for each part of the language whose absence would change a decision. */
export const FEATURES: readonly string[] = [
  'rule.allow',
  'rule.deny',
  'rule.require',
  'rule.for',
  'rule.scopes',
  'rule.bind',
  'rule.arguments',
  'rule.after',
  'rule.when',
  'rule.once',
  'rule.once.within',
  'selector.prefix',
  'selector.class',
  'cel.v1',
  'environment.v1',
];
