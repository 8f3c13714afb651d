import { expect, it } from 'vitest';
import { readQuery } from './query.ts';

it.each<[string | undefined, [string, string][]]>([
  [undefined, []],
  ['a=1', [['a', '1']]],
  [
    'a=1&a=2&b=',
    [
      ['a', '1'],
      ['a', '2'],
      ['b', ''],
    ],
  ],
  ['a=b=c', [['a', 'b=c']]],
  ['q=a%20b+c%2B', [['q', 'a b c+']]],
  ['%C3%A9=%E2%82%AC', [['é', '€']]],
  ['a[]=1;b=2', [['a[]', '1;b=2']]],
  ['q=%2526', [['q', '%26']]],
  ['__proto__=x', [['__proto__', 'x']]],
])('%s reads as %j', (query, pairs) => {
  expect(readQuery(query)).toEqual({ ok: true, value: pairs });
});

it.each([
  ['nothing', ''],
  ['a name without a text', 'verbose'],
  ['a name without a text behind another', 'a=1&verbose'],
  ['a text without a name', '=1'],
  ['an empty part', 'a=1&&b=2'],
  ['an empty last part', 'a=1&'],
  ['bytes that are no UTF-8', 'a=%ff'],
  ['an overlong slash', 'a=%c0%af'],
  ['half a surrogate pair', 'a=%ed%a0%80'],
  ['a name that is no UTF-8', '%ff=1'],
])('%s is refused', (_, query) => {
  expect(readQuery(query)).toMatchObject({ error: { code: 'malformed_request' } });
});
