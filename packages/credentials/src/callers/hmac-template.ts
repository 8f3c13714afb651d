/** What a generic HMAC is computed over, assembled from one request. That no two give the same bytes, `judgeHmacTemplate` sees to. */

import { readField } from '@sallyport/identity';
import { utf8 } from '@sallyport/crypto';
import type { HmacPart } from '@sallyport/model';
import type { CallerRequest } from './caller-method.ts';

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
