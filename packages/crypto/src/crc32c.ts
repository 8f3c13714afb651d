/** CRC-32C (Castagnoli), RFC 3720 appendix B.4: finds torn and rotten frames on disk. It is no protection against anyone. */

const POLYNOMIAL_REFLECTED = 0x82f63b78;

const TABLE: Uint32Array = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = (value & 1) === 1 ? (value >>> 1) ^ POLYNOMIAL_REFLECTED : value >>> 1;
  return value;
});

/** The checksum of `bytes`, as an unsigned 32-bit number. `crc32c(b, crc32c(a))` is the checksum of a and b in turn. */
export function crc32c(bytes: Uint8Array, previous = 0): number {
  let value = ~previous;
  for (let i = 0; i < bytes.length; i++) value = (value >>> 8) ^ (TABLE[(value ^ (bytes[i] as number)) & 0xff] as number);
  return ~value >>> 0;
}
