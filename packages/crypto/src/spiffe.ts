/** SPIFFE IDs (SPIFFE-ID standard, section 2): names of workloads in certificates. */

export interface SpiffeId {
  readonly trustDomain: string;
  /** `/sidecar/support-triage/1`, or empty for the trust domain itself. */
  readonly path: string;
}

const FORM = /^spiffe:\/\/([a-z0-9._-]{1,255})((?:\/[A-Za-z0-9._-]+)*)$/;
const BYTES_MAX = 2048;

/** Reads a SPIFFE ID; `undefined` for anything else, also for a path with `.`, `..` or an empty segment. */
export function parseSpiffeId(text: string): SpiffeId | undefined {
  const match = text.length > BYTES_MAX ? null : FORM.exec(text);
  if (match === null) return undefined;
  const [, trustDomain = '', path = ''] = match;
  const isTraversal = path.split('/').some((segment) => segment === '.' || segment === '..');
  return isTraversal ? undefined : { trustDomain, path };
}
