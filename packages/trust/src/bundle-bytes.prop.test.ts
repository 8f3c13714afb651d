import { flipBit, trustReceiver, trustSimulator } from '@sallyport/testkit';
import type { PublishedBundle, TrustSimulator } from '@sallyport/testkit';
import { PART_NAMES } from '@sallyport/model';
import * as fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';

describe('bundle bytes', () => {
  let sim: TrustSimulator;
  let bundle: PublishedBundle;
  beforeAll(async () => {
    sim = await trustSimulator();
    bundle = await sim.publishBundle();
  });

  it('every single byte of the envelope counts: each is turned in turn, and each is refused', () => {
    for (let index = 0; index < bundle.envelope.byteLength; index++) {
      const receiver = trustReceiver(sim);
      const rejection = receiver.takeBundle({ ...bundle, envelope: flipBit(bundle.envelope, index, index % 7) });
      // A key id is a hint and carries no trust: a bend inside one may pass, and then it is still the signed payload.
      if (rejection === undefined) expect(isInsideKeyId(bundle.envelope, index)).toBe(true);
    }
  });

  it('any bits turned in any part are refused', () => {
    fc.assert(
      fc.property(fc.constantFrom(...PART_NAMES), fc.nat(), fc.integer({ min: 0, max: 7 }), (name, position, bit) => {
        const part = bundle.parts[name];
        const bent = flipBit(part, position % part.byteLength, bit);
        const rejection = trustReceiver(sim).takeBundle({ ...bundle, parts: { ...bundle.parts, [name]: bent } });
        expect(rejection?.code).toBe('DIGEST');
      }),
    );
  });

  it('no bytes at all are ever accepted as an envelope unless they were signed', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array({ maxLength: 500 }),
          fc.json().map((text) => new TextEncoder().encode(text)),
        ),
        (bytes) => {
          const receiver = trustReceiver(sim);
          expect(receiver.takeBundle({ ...bundle, envelope: bytes })).toBeDefined();
          expect(receiver.takeBundle({ ...bundle, delegation: bytes })).toBeDefined();
          expect(receiver.takeRelease(bytes)).toBeDefined();
          expect(receiver.takeRevocation(bytes)).toBeDefined();
          expect(receiver.takeSnapshot(bytes)).toBeDefined();
          expect(receiver.takeRoot(bytes)).toBeDefined();
          expect(receiver.takeOnlineKeys(bytes)).toBeDefined();
          expect(receiver.takeStatement({ envelope: bytes, entries: [] })).toBeDefined();
          expect(receiver.takeProof({ envelope: bytes, entries: [] })).toBeDefined();
        },
      ),
    );
  });
});

function isInsideKeyId(envelope: Uint8Array, index: number): boolean {
  const text = new TextDecoder().decode(envelope);
  for (const { index: at, 0: match } of text.matchAll(/"keyid":"[0-9a-f]{32}"/g))
    if (index > at + '"keyid":'.length && index < at + match.length - 1) return true;
  return false;
}
