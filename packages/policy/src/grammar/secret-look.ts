/**
 * Whether a text looks like a secret that was pasted where a reference belongs. A policy is read by many and kept for
 * ever: what was pasted is refused, and never repeated in the problem that refuses it. Spec: policy-v1, 3.4a.
 */

/** How tokens of common services begin, and keys and JWTs. */
const BEGINNINGS =
  /^(?:[spr]k[-_](?:live|test|proj|ant)[-_]|sk-[A-Za-z0-9]|gh[opsur]_|github_pat_|glpat-|xox[a-z]-|(?:AKIA|ASIA)[0-9A-Z]|eyJ[A-Za-z0-9]|hv[sbr]\.[A-Za-z0-9]|AIza|ya29\.|npm_|SG\.|-----BEGIN)/;
/** Words are not this long without a break, unless they are all letters. */
const RUN = /[A-Za-z0-9+=]{20,}/g;
const LONG_RUN_CHARS = 32;

/** True for what nobody would name a file. Takes time linear in the text. */
export function looksLikeSecret(text: string): boolean {
  return text.split('/').some((part) => BEGINNINGS.test(part) || (part.match(RUN) ?? []).some(isRandom));
}

/** Only by how the keys of well-known services begin. */
export function beginsLikeSecret(text: string): boolean {
  return BEGINNINGS.test(text);
}

/** Letters of both cases and digits in one run, or letters and digits in a long one. */
function isRandom(run: string): boolean {
  const [hasLower, hasUpper, hasDigit] = [/[a-z]/.test(run), /[A-Z]/.test(run), /[0-9]/.test(run)];
  return hasDigit && ((hasLower && hasUpper) || (run.length >= LONG_RUN_CHARS && (hasLower || hasUpper)));
}
