/**
 * Which agents an agent hands on to and takes from, and other trust domains: read from documents and parts alike, and
 * written back in the same form. Spec: policy-v1 section 17.
 */

import { DELEGATION_ROOTS, HOP_AUTHORITIES, TRUST_TIER_MAX } from '@sallyport/model';
import type { AgentDelegation, DelegatedBy, DelegatesTo, Json, TrustDemand, TrustDomain } from '@sallyport/model';
import { calledAgentName, isTrustDomain, scope, serverName, token } from '../reader/forms.ts';
import { LIMITS } from '../reader/limits.ts';
import { count } from '../reader/read-more.ts';
import type { Reader } from '../reader/read.ts';
import { bool, fields, list, oneOf, text } from '../reader/read.ts';
import { encodeKey, publicKey } from './public-key.ts';

const names = <T extends string>(what: string, reader: Reader<T>): Reader<readonly T[]> =>
  list(what, reader, { min: 1, key: (entry) => entry });
const scopes = list('`scopes`', scope, { key: (entry) => entry });

/** `{ depth?, to?, from? }`; with one of the two at least. One hop unless said otherwise. */
export const agentDelegation: Reader<AgentDelegation> = (node, problems) => {
  const declared = fields(node, problems, '`delegation`', ['depth', 'to', 'from']);
  if (declared === undefined) return undefined;
  if (!declared.has('to') && !declared.has('from'))
    return problems.add(node.place, '`delegation` has neither `to` nor `from`', { remedy: 'leave it out, or say with whom' });
  return {
    depthMax: declared.get('depth', count('`depth`', 1, LIMITS.hopsMax)) ?? 1,
    to: declared.get('to', list('`to`', delegatesTo, { min: 1 })) ?? [],
    from: declared.get('from', list('`from`', delegatedBy, { min: 1 })) ?? [],
  };
};

/** What is not handed on by name is not handed on. */
const delegatesTo: Reader<DelegatesTo> = (node, problems) => {
  const declared = fields(node, problems, 'a relation', ['server!', 'scopes', 'authority']);
  const server = declared?.get('server', serverName);
  if (declared === undefined || server === undefined) return undefined;
  return {
    server,
    scopes: declared.get('scopes', scopes) ?? [],
    authority: declared.get('authority', oneOf('authority', HOP_AUTHORITIES)) ?? 'retained',
  };
};

const FROM_FIELDS = ['agents!', 'roots', 'tenants', 'principals', 'third_party', 'trust', 'tenant', 'roles', 'scopes'];

const delegatedBy: Reader<DelegatedBy> = (node, problems) => {
  const declared = fields(node, problems, 'a relation', FROM_FIELDS);
  const agents = declared?.get('agents', names('`agents`', calledAgentName));
  if (declared === undefined || agents === undefined) return undefined;
  const [tenants, principals] = [
    declared.get('tenants', names('`tenants`', token)),
    declared.get('principals', names('`principals`', token)),
  ];
  const tenant = declared.get('tenant', token);
  const trust = declared.get('trust', trustDemand);
  return {
    agents,
    roots: declared.get('roots', names('`roots`', oneOf('root', DELEGATION_ROOTS))) ?? ['human'],
    ...(tenants === undefined ? {} : { tenants }),
    ...(principals === undefined ? {} : { principals }),
    isThirdPartyToo: declared.get('third_party', bool) ?? false,
    ...(trust === undefined ? {} : { trust }),
    ...(tenant === undefined ? {} : { tenant }),
    roles: declared.get('roles', list('`roles`', token, { key: (entry) => entry })) ?? [],
    scopes: declared.get('scopes', scopes) ?? [],
  };
};

/** `{ min, keys }`. */
const trustDemand: Reader<TrustDemand> = (node, problems) => {
  const declared = fields(node, problems, '`trust`', ['min!', 'keys!']);
  const min = declared?.get('min', count('`min`', 1, TRUST_TIER_MAX));
  const keys = declared?.get('keys', list('`keys`', publicKey, { min: 1, max: 8, key: ({ kid }) => kid }));
  return min === undefined || keys === undefined ? undefined : { min, keys };
};

export function encodeAgentDelegation({ depthMax, to, from }: AgentDelegation): Json {
  return {
    depth: depthMax,
    ...(to.length === 0 ? {} : { to: to.map((one) => ({ ...one, scopes: one.scopes.toSorted() })) }),
    // In the order of the document: which of them took the call is on record by its place.
    ...(from.length === 0 ? {} : { from: from.map(encodeDelegatedBy) }),
  };
}

function encodeDelegatedBy({ agents, roots, tenants, principals, isThirdPartyToo, trust, tenant, roles, scopes: most }: DelegatedBy): Json {
  return {
    agents: agents.toSorted(),
    roots: roots.toSorted(),
    ...(tenants === undefined ? {} : { tenants: tenants.toSorted() }),
    ...(principals === undefined ? {} : { principals: principals.toSorted() }),
    third_party: isThirdPartyToo,
    ...(trust === undefined ? {} : { trust: { min: trust.min, keys: trust.keys.map(encodeKey) } }),
    ...(tenant === undefined ? {} : { tenant }),
    roles: roles.toSorted(),
    scopes: most.toSorted(),
  };
}

export const trustDomainName: Reader<string> = text('a trust domain', {
  test: isTrustDomain,
  words: 'a trust domain: lower-case letters, digits, ., _ and -',
});

/** `{ name, authorities, scopes }`. */
export const trustDomain: Reader<TrustDomain> = (node, problems) => {
  const declared = fields(node, problems, 'a TrustDomain', ['name!', 'authorities!', 'scopes!']);
  const name = declared?.get('name', trustDomainName);
  const authorities = declared?.get('authorities', authorityTexts);
  const most = declared?.get('scopes', scopes);
  return name === undefined || authorities === undefined || most === undefined ? undefined : { name, authorities, scopes: most };
};

export function encodeTrustDomain({ name, authorities, scopes: most }: TrustDomain): Json {
  return { name, authorities: authorities.toSorted(), scopes: most.toSorted() };
}

const ARMOUR = /^\s*-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----\s*$/;

/** One certificate, PEM or base64 of DER; held as the latter. That it is a CA's is for `checkDelegations` to say. */
const authority: Reader<string> = (node, problems) =>
  text('a certificate', undefined, LIMITS.fileCharsMax)(node, problems)?.replace(ARMOUR, '$1').replaceAll(/\s/g, '');

/** 1 to 8 of them. */
export const authorityTexts: Reader<readonly string[]> = list('`authorities`', authority, { min: 1, max: 8, key: (der) => der });
