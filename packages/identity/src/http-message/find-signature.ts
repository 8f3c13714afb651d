/** Which of the signatures of a request is meant (RFC 9421, section 4): the one with the tag that the reader knows. */

import { type Result, fail, ok } from '@sallyport/model';
import { readField } from './head-fields.ts';
import { type InnerList, isInnerList, parseDictionary } from './structured-fields.ts';

/** One signature as its two fields tell of it. */
export interface FoundSignature {
  readonly input: InnerList;
  readonly signature: Uint8Array;
}

const LABELS_MAX = 4;

/** The one signature that bears our tag. Others, of proxies on the way, may stand beside it; the labels of both fields agree. */
export function findSignature(rawHeaders: readonly string[], tag: string): Result<FoundSignature, string> {
  const [inputField, signatureField] = [readField(rawHeaders, 'signature-input'), readField(rawHeaders, 'signature')];
  if (!inputField.ok || !signatureField.ok) return fail('a field of the signature stands twice');
  const [inputs, signatures] = [parseDictionary(inputField.value ?? ''), parseDictionary(signatureField.value ?? '')];
  if (inputs === undefined || signatures === undefined) return fail('a field of the signature is not one unambiguous dictionary');
  if (inputs.size === 0 || inputs.size > LABELS_MAX) return fail(`not 1 to ${LABELS_MAX} signatures`);
  if (inputs.size !== signatures.size || [...inputs.keys()].some((label) => !signatures.has(label)))
    return fail('`signature` and `signature-input` have different labels');
  const [ours, second] = [...inputs].filter(([, member]) => member.parameters.get('tag') === tag);
  if (ours === undefined || second !== undefined) return fail('not exactly one signature has our tag');
  const [label, input] = ours;
  const signature = signatures.get(label);
  if (!isInnerList(input) || signature === undefined || isInnerList(signature)) return fail('a signature is not of its form');
  if (!(signature.value instanceof Uint8Array) || signature.parameters.size > 0) return fail('a signature is not a byte sequence');
  return ok({ input, signature: signature.value });
}
