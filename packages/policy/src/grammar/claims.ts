/** Which claims of an issuer's tokens become facts: read from documents and parts alike, and written back in the same form. */

import { ATTRIBUTE_TYPES, ORIGIN_CLAIMS } from '@sallyport/model';
import type { AttributeClaim, ClaimPlace, Issuer, Json, OriginClaim } from '@sallyport/model';
import { WORD } from '../reader/forms.ts';
import type { Reader } from '../reader/read.ts';
import { fields, oneOf, record, text } from '../reader/read.ts';

const CLAIM = { test: (name: string) => /^[\x21-\x7e]{1,128}$/.test(name), words: 'the name of a claim' };
const CLAIM_NAMES = ['subject', 'tenant', 'roles', 'scopes', 'case', 'task', 'step'] as const;
const COMPARED = ['environment', 'scope_version'] as const;

/** The mapping, with the usual name of each claim that it does not give; what a session began with is mapped or unknown. */
export const claimNames: Reader<Issuer['claims']> = (node, problems) => {
  const declared = fields(node, problems, '`claims`', [...CLAIM_NAMES, ...COMPARED, ...ORIGIN_CLAIMS, 'attributes']);
  if (declared === undefined) return undefined;
  const name = (key: string): string | undefined => declared.get(key, text('a claim', CLAIM));
  const given: Partial<Record<(typeof CLAIM_NAMES)[number], string>> = {};
  for (const key of CLAIM_NAMES) {
    const claim = name(key);
    if (claim !== undefined) given[key] = claim;
  }
  const [environment, scopeVersion] = COMPARED.map(name);
  const origin: Partial<Record<OriginClaim, ClaimPlace>> = {};
  for (const key of ORIGIN_CLAIMS) {
    const place = declared.get(key, claimPlace);
    if (place !== undefined) origin[key] = place;
  }
  return {
    ...claimDefaults(given),
    attributes: declared.get('attributes', record('`attributes`', attributeClaim, WORD)) ?? {},
    ...(environment === undefined ? {} : { environment }),
    ...(scopeVersion === undefined ? {} : { scopeVersion }),
    ...(Object.keys(origin).length === 0 ? {} : { origin }),
  };
};

/** The name of a claim, or `{ claim, member }`. */
const claimPlace: Reader<ClaimPlace> = (node, problems) => {
  if (node.kind === 'scalar') {
    const claim = text('a claim', CLAIM)(node, problems);
    return claim === undefined ? undefined : { claim };
  }
  const declared = fields(node, problems, 'a claim', ['claim!', 'member!']);
  const [claim, member] = [declared?.get('claim', text('a claim', CLAIM)), declared?.get('member', text('a member', CLAIM))];
  return claim === undefined || member === undefined ? undefined : { claim, member };
};

/** The name of a claim, or `{ claim, type? }`. */
const attributeClaim: Reader<AttributeClaim> = (node, problems) => {
  if (node.kind === 'scalar') {
    const claim = text('a claim', CLAIM)(node, problems);
    return claim === undefined ? undefined : { claim };
  }
  const declared = fields(node, problems, 'an attribute', ['claim!', 'type']);
  const claim = declared?.get('claim', text('a claim', CLAIM));
  const type = declared?.get('type', oneOf('attribute type', ATTRIBUTE_TYPES));
  return claim === undefined ? undefined : { claim, ...(type === undefined ? {} : { type }) };
};

/** The usual names, where others are not given. */
export function claimDefaults(given: Partial<Issuer['claims']>): Issuer['claims'] {
  return {
    subject: 'sub',
    tenant: 'tenant',
    roles: 'roles',
    scopes: 'scope',
    case: 'case',
    task: 'task',
    step: 'tool_step',
    attributes: {},
    ...given,
  };
}

export function encodeClaims({ attributes, environment, scopeVersion, origin = {}, ...names }: Issuer['claims']): Json {
  return {
    ...names,
    ...(environment === undefined ? {} : { environment }),
    ...(scopeVersion === undefined ? {} : { scope_version: scopeVersion }),
    ...Object.fromEntries(
      Object.entries(origin).map(([name, { claim, member }]) => [name, member === undefined ? claim : { claim, member }]),
    ),
    attributes: encodeAttributes(attributes),
  };
}

function encodeAttributes(attributes: Issuer['claims']['attributes']): Json {
  const entries = Object.entries(attributes).map(([name, { claim, type }]) => [name, type === undefined ? claim : { claim, type }]);
  return Object.fromEntries(entries) as Json;
}
