/**
 * What a generic HMAC is computed over, assembled so that no two requests give the same bytes: after each value taken from
 * the request stands a character that the value cannot hold.
 */

import { readField } from '@sallyport/identity';
import { utf8 } from '@sallyport/crypto';
import type { HmacPart, Problem } from '@sallyport/model';
import type { CallerRequest } from './caller-method.ts';

const PARTS_MAX = 32;

/** The characters that a value may hold; what follows it begins with another, or is nothing. */
const ALPHABETS: Readonly<Record<'timestamp' | 'method' | 'target' | 'authority' | 'key_id' | 'header', RegExp>> = {
  timestamp: /[0-9]/,
  method: /[!#$%&'*+.^_`|~0-9A-Za-z-]/,
  target: /[\x21-\x7e]/,
  authority: /[A-Za-z0-9.:[\]_-]/,
  key_id: /[A-Za-z0-9._-]/,
  header: /[\x20-\x7e\t]/,
};

/** Problems of a template: no body or timestamp under the signature, or a value that can flow into its neighbour. */
export function judgeTemplate(template: readonly HmacPart[], problems: Problem[]): void {
  const path = 'template';
  if (template.length > PARTS_MAX) problems.push({ path, message: `has more than ${PARTS_MAX} parts` });
  for (const needed of ['timestamp', 'body']) {
    const count = template.filter((part) => 'take' in part && part.take === needed).length;
    if (count !== 1) problems.push({ path, message: `takes \`${needed}\` ${count} times, not once` });
  }
  for (const [index, part] of template.entries()) {
    const place = `${path}[${index}]`;
    const next = template[index + 1];
    if ('text' in part && part.text === '') problems.push({ path: place, message: 'is an empty text' });
    if ('text' in part || next === undefined) continue;
    const kind = 'header' in part ? 'header' : part.take;
    if (kind === 'body') problems.push({ path: place, message: 'the body holds any byte, so nothing may follow it' });
    else if (!('text' in next)) problems.push({ path: place, message: `a text must part \`${kind}\` from what follows` });
    else if (ALPHABETS[kind].test(next.text.slice(0, 1)))
      problems.push({
        path: place,
        message: `what follows \`${kind}\` begins with a character that it can hold itself`,
        remedy: 'a line feed',
      });
  }
}

/** The parts of one request as bytes; `undefined` where a header that the template names is absent or stands twice. */
export function fillTemplate(
  template: readonly HmacPart[],
  request: CallerRequest & { readonly body: Uint8Array },
  own: { readonly timestamp: string; readonly keyId: string },
): readonly Uint8Array[] | undefined {
  const filled: Uint8Array[] = [];
  for (const part of template) {
    if ('take' in part && part.take === 'body') {
      filled.push(request.body);
      continue;
    }
    const text = textOf(part, request, own);
    if (text === undefined) return undefined;
    filled.push(utf8(text));
  }
  return filled;
}

function textOf(part: HmacPart, request: CallerRequest, own: { timestamp: string; keyId: string }): string | undefined {
  if ('text' in part) return part.text;
  if ('header' in part) {
    const read = readField(request.rawHeaders, part.header);
    return read.ok ? read.value : undefined;
  }
  switch (part.take) {
    case 'timestamp':
      return own.timestamp;
    case 'key_id':
      return own.keyId;
    case 'method':
      return request.method;
    case 'target':
      return request.target;
    case 'authority':
      return request.authority;
    case 'body':
      return undefined;
  }
}
