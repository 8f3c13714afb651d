/** A principal's attributes have one meaning: issuers agree on their types, and tests give none that no token could bring. */

import { hasAttributeType } from '@sallyport/model';
import type { AttributeClaim } from '@sallyport/model';
import type { Declared, Located } from '../grammar/declared.ts';
import { placeAt } from '../reader/locate.ts';
import type { Problems } from '../reader/node.ts';
import { didYouMean, quote } from '../reader/node.ts';
import type { TestSuite } from '../rule.ts';

/** Attributes by name. A condition has one type for each, whoever vouched for the principal. */
export function checkAttributes({ issuers }: Declared, problems: Problems): ReadonlyMap<string, AttributeClaim> {
  const known = new Map<string, AttributeClaim>();
  for (const { value, node } of issuers) {
    for (const [name, attribute] of Object.entries(value.claims.attributes)) {
      const first = known.get(name);
      if (first === undefined) known.set(name, attribute);
      else if (first.type !== attribute.type)
        problems.add(placeAt(node, 'claims', 'attributes', name), `another issuer maps ${quote(name)} as ${first.type ?? 'any type'}`, {
          remedy: 'give both one `type`, or the attribute another name',
        });
    }
  }
  return known;
}

/** What a test gives its principal is declared, and of the declared type: no token could bring anything else. */
export function checkGiven({ value, node }: Located<TestSuite>, attributes: ReadonlyMap<string, AttributeClaim>, problems: Problems): void {
  for (const [name, given] of Object.entries(value.given.attributes)) {
    const place = placeAt(node, 'given', 'attributes', name);
    const attribute = attributes.get(name);
    if (attribute === undefined)
      problems.add(place, `no attribute ${quote(name)}`, {
        remedy: () => didYouMean(name, attributes.keys()) ?? 'map a claim to it in a document of kind Issuer',
      });
    else if (attribute.type !== undefined && !hasAttributeType(given, attribute.type))
      problems.add(place, `attribute ${quote(name)} is of type ${attribute.type}`);
  }
}
