/**
 * How a policy names a place where a secret lies. Text that looks like the secret itself is refused and not repeated.
 * Spec: policy-v1, 3.4a.
 */

import type { Reader } from '../reader/read.ts';
import { looksLikeSecret } from './secret-look.ts';

export const CREDENTIAL_PATH = '^[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}(?:/[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}){0,7}$';
export const PATH: RegExp = new RegExp(CREDENTIAL_PATH);
export const PATH_WORDS = '1 to 8 names joined by `/`, each 1 to 63 of A-Za-z0-9, `_`, `.` and `-`, not beginning with `.` or `-`';
export const BY_REFERENCE = 'put the value into a file of the sidecar’s secrets folder and write source: { file: orders/api-key }';
/** Whoever reads the repository has it: taking it away is not enough. */
export const LEAKED: string = `${BY_REFERENCE}; what stood here is no secret any more: replace it`;

/** A text that names something and is no secret; one that does not fit is not repeated. */
export function reference(what: string, form: RegExp, words: string): Reader<string> {
  return (node, problems) => {
    if (node.kind !== 'scalar' || typeof node.value !== 'string') return problems.add(node.place, `${what} must be text`);
    if (looksLikeSecret(node.value)) return problems.add(node.place, `${what} looks like a secret itself`, { remedy: LEAKED });
    return form.test(node.value) ? node.value : problems.add(node.place, `this is not ${what}: ${words}`);
  };
}

/** A file below the folder of secrets, as it is named in a policy. */
export const secretFile: Reader<string> = (node, problems) => reference('a file of the secrets folder', PATH, PATH_WORDS)(node, problems);
