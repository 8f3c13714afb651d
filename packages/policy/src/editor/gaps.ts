/** Where the schema for editors and the readers of documents differ, in words. Tests hold that there is nothing else. */

/** What the schema lets through, because a JSON Schema cannot say it; `sallyport policy check` says it. */
export const LOOSER: readonly string[] = [
  'what only another document knows: names that must exist, names declared twice or that look alike, a rule that is about no tool',
  'what a condition says: its fields, its types, its cost',
  'which keywords of an argument schema may stand together, and whether a value fits them',
  'an `allow` rule in a Policy with `agents`',
  'a span of time above its maximum',
  'a day that its month does not have',
  'two values against each other: `idle` above `max`, `from` after `until` or too long before it, `from` equal to `to`',
  'two entries of a list that are the same once they are read, such as `{ tool: a/b }` written in two orders',
  'a name written with combining characters (Unicode NFC)',
  'decimals of more than 38 digits in all',
  'text of more code units than characters',
  'the certificate of an authority beyond being text, and that `authorities: workload` needs an `identity`',
  'a base URL, and `${env.x}` in it, beyond being text',
  'whether a text is a CA certificate',
  'text that looks like a secret, in a Credential',
  'a public key that is no point of its curve, or not of the algorithm beside it; bytes in base64url whose last bits are not zero',
  'PEM beyond being text, in a CallerMethod; which parts a template must have, and what parts them',
  'where `apiVersion` stands, and how YAML was written: anchors, tags, duplicate keys, spellings that readers read differently',
];

/** What the schema refuses although a build would not. */
export const STRICTER: readonly string[] = ['a whole number in quotes where a number stands'];
