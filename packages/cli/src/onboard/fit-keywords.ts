/** Keywords of JSON Schema (drafts 4 to 2020-12, OpenAPI's own) by what becomes of them. */

/** Constraints that only the server can judge. */
export const SERVER_ALONE: ReadonlySet<string> = new Set(
  'not if then else dependentSchemas dependentRequired dependencies contains minContains maxContains uniqueItems propertyNames minProperties maxProperties unevaluatedItems prefixItems additionalItems $dynamicRef $recursiveRef'.split(
    ' ',
  ),
);

/** Words beside a reference or alternatives that do not matter to a value. */
export const NOTHING_ABOUT_VALUES: ReadonlySet<string> = new Set(
  'title description default examples example deprecated readOnly writeOnly $comment $schema $id x-mcp-header discriminator id $anchor'.split(
    ' ',
  ),
);

/** As `strict` has them, without `decimal`, which no server means. */
export const STRING_FORMATS: ReadonlySet<string> = new Set('date date-time email uri uuid hostname ipv4 ipv6'.split(' '));

/** The types that a keyword speaks of. */
export const IDLE: Readonly<Record<string, readonly string[]>> = {
  properties: ['object'],
  required: ['object'],
  additionalProperties: ['object'],
  items: ['array'],
  minItems: ['array'],
  maxItems: ['array'],
  minLength: ['string'],
  maxLength: ['string'],
  pattern: ['string'],
  format: ['string'],
  minimum: ['integer', 'number'],
  maximum: ['integer', 'number'],
};

/** What our compiler has, and what the rules make of it. */
export const KNOWN: ReadonlySet<string> = new Set(
  'type enum const properties required additionalProperties items minItems maxItems minimum maximum minLength maxLength pattern format anyOf $ref title description default x-mcp-header $schema exclusiveMinimum exclusiveMaximum multipleOf nullable unevaluatedProperties allOf oneOf'.split(
    ' ',
  ),
);
