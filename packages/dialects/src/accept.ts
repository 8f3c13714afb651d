/** The `Accept` header (RFC 9110, section 12.5.1), as far as one question goes: may this media type be sent? */

const ZERO_WEIGHT = /;\s*q\s*=\s*0(?:\.0{0,3})?\s*(?:;|$)/i;

/** Whether a type is accepted by name or by a range, with a weight above zero. An absent header names nothing. */
export function accepts(header: string | undefined, mediaType: string): boolean {
  if (header === undefined) return false;
  const [major = ''] = mediaType.split('/');
  const wanted = new Set([mediaType, `${major}/*`, '*/*']);
  return header.split(',').some((range) => {
    const [type = ''] = range.split(';');
    return wanted.has(type.trim().toLowerCase()) && !ZERO_WEIGHT.test(range);
  });
}

/** The media type of a `Content-Type` without its parameters, lower case; empty where there is none. */
export function mediaTypeOf(contentType: string | undefined): string {
  const [type = ''] = (contentType ?? '').split(';');
  return type.trim().toLowerCase();
}
