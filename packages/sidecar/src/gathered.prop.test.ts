import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { gathered } from './gathered.ts';

it('gathered bytes are what came, however it was cut, in at most twice the room', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 5_000 }), { maxLength: 20 }), (chunks) => {
      const body = gathered({ bytesMax: 1_000_000 });
      for (const chunk of chunks) body.add(chunk);
      const whole = Buffer.concat(chunks);
      expect(Buffer.compare(body.bytes(), whole)).toBe(0);
      expect(body.bytes().buffer.byteLength).toBeLessThanOrEqual(Math.max(4_096, whole.byteLength * 2));
    }),
  );
});
