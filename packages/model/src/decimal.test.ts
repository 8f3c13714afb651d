import { describe, expect, it } from 'vitest';
import { Decimal } from './decimal.ts';

const decimal = (text: string): Decimal => {
  const value = Decimal.parse(text);
  if (value === undefined) throw new Error(`not a decimal: ${text}`);
  return value;
};

describe('Decimal', () => {
  it.each([
    ['0', '0'],
    ['-0', '0'],
    ['-0.00', '0'],
    ['10', '10'],
    ['10.50', '10.5'],
    ['500.00', '500'],
    ['0.001', '0.001'],
    ['-3.1400', '-3.14'],
    ['0.00000000000000000000000000000000000001', '0.00000000000000000000000000000000000001'],
  ])('reads %s and writes its canonical form %s', (text, canonical) => {
    expect(decimal(text).toString()).toBe(canonical);
  });

  it.each(['', '1e3', '+1', '01', '.5', '5.', '1,5', ' 1', '1 ', 'NaN', 'Infinity', '١', '1'.repeat(39), `0.${'0'.repeat(200)}`])(
    'refuses %j',
    (text) => {
      expect(Decimal.parse(text)).toBeUndefined();
    },
  );

  it('compares by value where a double would round the difference away', () => {
    expect(decimal('500.00000000000000000000000001').compare(decimal('500'))).toBeGreaterThan(0);
    expect(decimal('0.1').add(decimal('0.2')).equals(decimal('0.3'))).toBe(true);
    expect(decimal('-1').compare(decimal('1'))).toBeLessThan(0);
    expect(decimal('1.10').equals(decimal('1.1'))).toBe(true);
  });

  it('adds and subtracts exactly across scales, staying canonical', () => {
    expect(decimal('0.5').add(decimal('0.5')).toString()).toBe('1');
    expect(decimal('100').subtract(decimal('0.01')).toString()).toBe('99.99');
  });
});
