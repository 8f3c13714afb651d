/**
 * JSON numbers as text. A double is never trusted to be what the sender wrote: two texts are the same number when their
 * canonical forms are equal, and every exact value is read from text. docs/spec/arguments-v1.md section 2.
 */

const FORM = /^(-?)([0-9]+)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?$/;

/** Longest plain notation that is ever written out; a double needs at most 1,100. */
const PLAIN_DIGITS_MAX = 8_192;

/**
 * Whether the double that `Number` makes of a JSON number is written back, in its shortest form, as the same number.
 * True for `0.1` and `1e23`, false for `9007199254740993` and `1e400`.
 */
export function isExactDouble(text: string): boolean {
  const written = canonicalDigits(String(Number(text)));
  return written !== undefined && written === canonicalDigits(text);
}

/** Whether a JSON number is spelled with an exponent. */
export function hasExponent(text: string): boolean {
  return text.includes('e') || text.includes('E');
}

/**
 * Plain decimal notation without exponent, without superfluous zeros, without `-0`: `1e-7` is `0.0000001`. `undefined`
 * for what is not a JSON number, or would be longer than 8192 digits.
 */
export function plainNumber(text: string): string | undefined {
  const parts = partsOf(text);
  if (parts === undefined) return undefined;
  const { sign, digits, exponent } = parts;
  if (digits === '') return '0';
  const whole = digits.length + exponent;
  if (Math.max(digits.length, whole, digits.length - whole) > PLAIN_DIGITS_MAX) return undefined;
  if (exponent >= 0) return sign + digits + '0'.repeat(exponent);
  return whole > 0 ? `${sign}${digits.slice(0, whole)}.${digits.slice(whole)}` : `${sign}0.${'0'.repeat(-whole)}${digits}`;
}

function canonicalDigits(text: string): string | undefined {
  const parts = partsOf(text);
  return parts === undefined ? undefined : parts.digits === '' ? '0' : `${parts.sign}${parts.digits}e${parts.exponent}`;
}

/** The value is `digits * 10 ** exponent`; `digits` has no zero at either end, and is empty for zero. */
function partsOf(text: string): { readonly sign: string; readonly digits: string; readonly exponent: number } | undefined {
  const match = FORM.exec(text);
  if (match === null) return undefined;
  const [, sign = '', whole = '', fraction = '', exponent = '0'] = match;
  const digits = whole + fraction;
  // Loops and no `/0+$/`: that pattern takes quadratic time on a long run of zeros with another digit after it.
  let [start, end] = [0, digits.length];
  while (start < end && digits[start] === '0') start += 1;
  while (end > start && digits[end - 1] === '0') end -= 1;
  return { sign, digits: digits.slice(start, end), exponent: Number(exponent) - fraction.length + (digits.length - end) };
}
