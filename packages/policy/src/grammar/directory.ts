/** Which attributes of an issuer's principals the directory says, and what it may say of them. Spec: policy-v1 3.4c. */

import { ATTRIBUTE_TYPES } from '@sallyport/model';
import type { DirectoryAttribute, Issuer, Json } from '@sallyport/model';
import { WORD, token } from '../reader/forms.ts';
import { LIMITS } from '../reader/limits.ts';
import type { Reader } from '../reader/read.ts';
import { duration, fields, formatSpan, list, oneOf, record } from '../reader/read.ts';

const AGE_MS = 3_600_000;

/** At least one: an empty map would say nothing. */
export const directoryAttributes: Reader<NonNullable<Issuer['directory']>> = (node, problems) => {
  const declared = record('`directory`', directoryAttribute, WORD)(node, problems);
  if (declared === undefined || node.kind !== 'map') return undefined;
  if (node.entries.size === 0)
    return problems.add(node.place, '`directory` names no attribute', { remedy: 'department: { type: string }' });
  return declared;
};

const directoryAttribute: Reader<DirectoryAttribute> = (node, problems) => {
  const declared = fields(node, problems, 'an attribute of the directory', ['type!', 'values', 'max_age']);
  const type = declared?.get('type', oneOf('attribute type', ATTRIBUTE_TYPES));
  if (declared === undefined || type === undefined) return undefined;
  const values = declared.get('values', list('`values`', token, { min: 1, key: (value) => value }));
  const place = declared.node('values')?.place;
  if (place !== undefined && type !== 'string' && type !== 'strings')
    return problems.add(place, '`values` are of text', { remedy: 'type: string, or type: strings' });
  const ageMsMax = declared.get('max_age', duration('`max_age`', LIMITS.directoryAgeMsMax)) ?? AGE_MS;
  return { type, ...(values === undefined ? {} : { values }), ageMsMax };
};

export function encodeDirectoryAttributes(directory: NonNullable<Issuer['directory']>): Json {
  return Object.fromEntries(
    Object.entries(directory).map(([name, { type, values, ageMsMax }]) => [
      name,
      { type, ...(values === undefined ? {} : { values: values.toSorted() }), max_age: formatSpan(ageMsMax) },
    ]),
  );
}
