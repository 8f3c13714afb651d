/** The attributes that an explanation gives its caller, judged by what the issuers declare: no token could bring others. */

import { attributesOf, isAttributeOf, nearest } from '@sallyport/model';
import type { Problem } from '@sallyport/model';
import type { BuiltParts } from '@sallyport/policy';
import type { Caller } from './caller.ts';

/** Every attribute that no issuer maps, or that is not of its declared type. */
export function attributeProblems({ policy }: BuiltParts, { principal }: Caller): readonly Problem[] {
  const known = new Map(policy.parts.issuers.flatMap((issuer) => attributesOf(issuer)));
  return Object.entries(principal.attributes).flatMap(([name, value]): readonly Problem[] => {
    const attribute = known.get(name);
    const path = `--as attributes.${name}`;
    if (attribute === undefined) {
      const near = nearest(name, [...known.keys()]);
      return [
        {
          path,
          message: `no issuer maps a claim to \`${name}\``,
          remedy: near === undefined ? 'map it in a document of kind Issuer' : `did you mean ${near}?`,
        },
      ];
    }
    if (isAttributeOf(value, attribute)) return [];
    const values = attribute.values === undefined ? '' : `, of ${attribute.values.join(', ')}`;
    return [
      {
        path,
        message: `\`${name}\` is of type ${attribute.type ?? 'any'}${values}`,
        remedy: 'a JSON file tells text from numbers, and holds lists',
      },
    ];
  });
}
