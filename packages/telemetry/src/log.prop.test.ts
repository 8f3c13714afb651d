import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { fakeClock } from '@sallyport/testkit';
import { createLog } from './log.ts';
import { plainText } from './log-text.ts';

test('whatever stands in a field or an error, a line is one line and one JSON object', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.anything(), (detail, thrown) => {
      const written: string[] = [];
      const log = createLog({ level: 'info', name: 'sidecar', clock: fakeClock(), write: (line) => written.push(line) });
      log.warn('event', { detail }, thrown);
      expect(written).toHaveLength(1);
      const [line = ''] = written;
      expect(line.indexOf('\n')).toBe(line.length - 1);
      expect(JSON.parse(line)).toMatchObject({ level: 'warn', event: 'event' });
    }),
    { numRuns: 500 },
  );
});

test('a token never survives, wherever it stands in a text', () => {
  const part = fc.string({ unit: fc.constantFrom(...Array.from('abcXYZ019_-')), minLength: 8, maxLength: 40 });
  fc.assert(
    fc.property(fc.string({ maxLength: 1_990 }), part, part, (before, payload, signature) => {
      const token = `eyJhbGciOiJFUzI1NiJ9.${payload}.${signature}`;
      const plain = plainText(`${before} ${token}`);
      expect(plain).not.toContain(payload);
    }),
    { numRuns: 500 },
  );
});
