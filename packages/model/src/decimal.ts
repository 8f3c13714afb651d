/**
 * Exact decimals: money is never a double. At most 38 significant digits, no exponent, compared by value.
 * Canonical form: no leading zeros, no trailing zeros after the point, no `-0`.
 */

const DIGITS_MAX = 38;
/** Longer than any canonical form; trailing zeros beyond it are noise, and stripping them would cost the square. */
const TEXT_MAX = 128;
const FORM = /^(-?)(0|[1-9][0-9]*)(?:\.([0-9]+))?$/;

export class Decimal {
  /** The value is `coefficient / 10 ** scale`, with `coefficient % 10 !== 0` unless `scale === 0`. */
  readonly coefficient: bigint;
  readonly scale: number;

  private constructor(coefficient: bigint, scale: number) {
    this.coefficient = coefficient;
    this.scale = scale;
  }

  /** Reads `-12.50`; `undefined` for an exponent, a leading `+` or zero, an empty fraction, more than 38 digits, or 128 characters. */
  static parse(text: string): Decimal | undefined {
    const match = text.length > TEXT_MAX ? null : FORM.exec(text);
    if (match === null) return undefined;
    const [, sign = '', whole = '', fraction = ''] = match;
    const kept = fraction.replace(/0+$/, '');
    if ((whole === '0' ? 0 : whole.length) + kept.length > DIGITS_MAX) return undefined;
    const coefficient = BigInt(whole + kept);
    return new Decimal(sign === '-' ? -coefficient : coefficient, kept.length);
  }

  static fromBigInt(value: bigint): Decimal {
    return new Decimal(value, 0);
  }

  /** Negative, zero or positive, as `this` is less than, equal to or greater than `other`. */
  compare(other: Decimal): number {
    const scale = Math.max(this.scale, other.scale);
    const difference = this.at(scale) - other.at(scale);
    return difference < 0n ? -1 : difference > 0n ? 1 : 0;
  }

  equals(other: Decimal): boolean {
    return this.compare(other) === 0;
  }

  add(other: Decimal): Decimal {
    const scale = Math.max(this.scale, other.scale);
    return Decimal.normal(this.at(scale) + other.at(scale), scale);
  }

  subtract(other: Decimal): Decimal {
    const scale = Math.max(this.scale, other.scale);
    return Decimal.normal(this.at(scale) - other.at(scale), scale);
  }

  /** The canonical text; `Decimal.parse(d.toString())` equals `d`. */
  toString(): string {
    const digits = (this.coefficient < 0n ? -this.coefficient : this.coefficient).toString().padStart(this.scale + 1, '0');
    const sign = this.coefficient < 0n ? '-' : '';
    if (this.scale === 0) return sign + digits;
    return `${sign}${digits.slice(0, -this.scale)}.${digits.slice(-this.scale)}`;
  }

  /** A JSON string, so that no serialiser turns it into a double by accident. */
  toJSON(): string {
    return this.toString();
  }

  private at(scale: number): bigint {
    return scale === this.scale ? this.coefficient : this.coefficient * 10n ** BigInt(scale - this.scale);
  }

  private static normal(coefficient: bigint, scale: number): Decimal {
    let [value, digits] = [coefficient, scale];
    while (digits > 0 && value % 10n === 0n) [value, digits] = [value / 10n, digits - 1];
    return new Decimal(value, digits);
  }
}
