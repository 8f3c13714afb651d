/** CRC-32C (Castagnoli), RFC 3720 appendix B.4: finds torn and rotten frames on disk. It is no protection against anyone. */

const POLYNOMIAL_REFLECTED = 0x82f63b78;

/** Slice `s` is what a byte does to the checksum when `s` more bytes follow it in the same step. */
const SLICES = 4;
const TABLE: Int32Array = sliced();

function sliced(): Int32Array {
  const table = new Int32Array(SLICES * 256);
  for (let byte = 0; byte < 256; byte++) {
    let value = byte;
    for (let bit = 0; bit < 8; bit++) value = (value & 1) === 1 ? (value >>> 1) ^ POLYNOMIAL_REFLECTED : value >>> 1;
    table[byte] = value;
  }
  for (let i = 256; i < table.length; i++) {
    const shorter = table[i - 256] as number;
    table[i] = (shorter >>> 8) ^ (table[shorter & 0xff] as number);
  }
  return table;
}

/** The checksum of `bytes`, as an unsigned 32-bit number. `crc32c(b, crc32c(a))` is the checksum of a and b in turn. */
export function crc32c(bytes: Uint8Array, previous = 0): number {
  let value = ~previous;
  let i = 0;
  for (const whole = bytes.length - (bytes.length % SLICES); i < whole; i += SLICES) {
    value ^= (bytes[i] as number) | ((bytes[i + 1] as number) << 8) | ((bytes[i + 2] as number) << 16) | ((bytes[i + 3] as number) << 24);
    value =
      (TABLE[768 + (value & 0xff)] as number) ^
      (TABLE[512 + ((value >>> 8) & 0xff)] as number) ^
      (TABLE[256 + ((value >>> 16) & 0xff)] as number) ^
      (TABLE[value >>> 24] as number);
  }
  for (; i < bytes.length; i++) value = (value >>> 8) ^ (TABLE[(value ^ (bytes[i] as number)) & 0xff] as number);
  return ~value >>> 0;
}
