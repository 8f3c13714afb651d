/** A principal's attributes have one meaning: issuers agree on their types and sources, and tests give none that nothing could bring. */

import { attributesOf, isAttributeOf } from '@sallyport/model';
import type { AttributeForm, Issuer } from '@sallyport/model';
import type { Declared, Located } from '../grammar/declared.ts';
import { placeAt } from '../reader/locate.ts';
import type { Place, Problems } from '../reader/node.ts';
import { didYouMean, quote } from '../reader/node.ts';
import type { TestSuite } from '../rule.ts';

/** What is declared of an attribute, and whether the directory says it. */
export interface DeclaredAttribute extends AttributeForm {
  readonly isOfDirectory: boolean;
}

/** Attributes by name. A condition has one type for each, whoever vouched for the principal. */
export function checkAttributes({ issuers }: Declared, problems: Problems): ReadonlyMap<string, DeclaredAttribute> {
  const known = new Map<string, DeclaredAttribute>();
  for (const { value, node } of issuers) {
    for (const [name, form] of attributesOf(value)) {
      const place = placeOf(name, { value, node });
      const isOfDirectory = value.directory !== undefined && Object.hasOwn(value.directory, name);
      const first = known.get(name);
      if (first === undefined) known.set(name, { ...form, isOfDirectory });
      else if (first.isOfDirectory !== isOfDirectory || Object.hasOwn(value.claims.attributes, name) === isOfDirectory)
        // Whoever can get a claim into a token could say what only the directory may.
        problems.add(place, `${quote(name)} is said both by a claim and by the directory`, { remedy: 'leave out one of them' });
      else if (first.type !== form.type)
        problems.add(place, `another issuer maps ${quote(name)} as ${first.type ?? 'any type'}`, {
          remedy: 'give both one `type`, or the attribute another name',
        });
      else if (!isSame(first.values, form.values))
        problems.add(place, `another issuer has other \`values\` of ${quote(name)}`, { remedy: 'give both the same `values`' });
    }
  }
  return known;
}

function placeOf(name: string, { value, node }: Located<Issuer>): Place {
  return value.directory !== undefined && Object.hasOwn(value.directory, name)
    ? placeAt(node, 'directory', name)
    : placeAt(node, 'claims', 'attributes', name);
}

function isSame(a: readonly string[] | undefined, b: readonly string[] | undefined): boolean {
  return a === b || (a !== undefined && b !== undefined && a.length === b.length && a.every((value) => b.includes(value)));
}

/** What a test gives its principal is declared, and as declared: nothing could bring anything else. */
export function checkGiven({ value, node }: Located<TestSuite>, attributes: ReadonlyMap<string, AttributeForm>, problems: Problems): void {
  for (const [name, given] of Object.entries(value.given.attributes)) {
    const place = placeAt(node, 'given', 'attributes', name);
    const attribute = attributes.get(name);
    if (attribute === undefined)
      problems.add(place, `no attribute ${quote(name)}`, {
        remedy: () => didYouMean(name, attributes.keys()) ?? 'map a claim to it in a document of kind Issuer',
      });
    else if (!isAttributeOf(given, attribute)) problems.add(place, `attribute ${quote(name)} is ${inWords(attribute)}`);
  }
}

/** What an attribute may be, for messages. */
export function inWords({ type, values }: AttributeForm): string {
  return `of type ${type ?? 'any'}${values === undefined ? '' : `, of ${values.join(', ')}`}`;
}
