/**
 * What the directory says of a principal, in the place of whatever a credential or an open session says of the same names. One
 * that is too old says nothing, and that is not the same as naming no attribute: a denial that asks `has` would pass where its
 * directory was withheld. What may read an attribute that is not known is refused. Spec: policy-v1 section 3.4c.
 */

import type { AttributeValue, DirectoryReading, Principal } from '@sallyport/model';
import { directoryUseOf } from '../compile/compile.ts';
import type { CompiledPolicy, DirectoryUse, Entry } from '../compile/compile.ts';
import type { PolicyInput } from '../input.ts';

/** A principal as decisions see it. */
export type KnownPrincipal = Pick<PolicyInput, 'principal' | 'unknownAttributes'>;

/** The principal with what the directory says now. Without a promise, and without work where the policy leaves nothing to it. */
export function knownPrincipal(policy: CompiledPolicy, principal: Principal, directory: DirectoryReading): KnownPrincipal {
  const use = directoryUseOf(policy);
  return use === undefined ? { principal } : overlaid(use, principal, directory);
}

/** An attribute that some effective rule about the tool may read, and nobody knows; `undefined` where there is none. */
export function unknownAttribute({ readsOfDirectory }: Entry, { unknownAttributes }: PolicyInput): string | undefined {
  return unknownAttributes === undefined ? undefined : readsOfDirectory.find((name) => unknownAttributes.includes(name));
}

function overlaid({ byIssuer, names }: DirectoryUse, principal: Principal, directory: DirectoryReading): KnownPrincipal {
  const attributes: Record<string, AttributeValue> = {};
  // Never what a session was opened with: it may be older than the declaration that took the attribute from its token.
  for (const [name, value] of Object.entries(principal.attributes)) if (!names.includes(name)) attributes[name] = value;
  const unknown: string[] = [];
  const said = directory.find(principal)?.attributes ?? NOTHING;
  for (const [name, { ageMsMax }] of Object.entries(byIssuer.get(principal.issuer) ?? NOTHING)) {
    // Not the other way round: an age that is no number is too old.
    if (!(directory.ageMs <= ageMsMax)) unknown.push(name);
    else if (Object.hasOwn(said, name)) attributes[name] = said[name] as AttributeValue;
  }
  const known = { ...principal, attributes };
  return unknown.length === 0 ? { principal: known } : { principal: known, unknownAttributes: unknown };
}

const NOTHING: Readonly<Record<string, never>> = {};
