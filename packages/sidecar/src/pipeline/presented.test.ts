import { describe, expect, it } from 'vitest';
import type { Framed } from './facts.ts';
import { presentedAgain, presentedBy } from './presented.ts';

const head = (headers: Readonly<Record<string, string>>, port: number | undefined = 15001): Framed['head'] =>
  ({
    method: 'POST',
    target: { path: '/session', query: 'a=b', host: '127.0.0.1', port },
    headers: { get: (name: string) => headers[name] },
  }) as unknown as Framed['head'];

describe('a token as it is presented', () => {
  it.each<[string, Readonly<Record<string, string>>]>([
    ['nowhere', {}],
    ['as a password', { authorization: 'Basic YTpi' }],
    ['twice in one header', { authorization: 'Bearer a, Bearer b' }],
    ['after two spaces', { authorization: 'Bearer  a' }],
    ['with nothing after the scheme', { authorization: 'Bearer ' }],
    ['without a scheme', { authorization: 'abc' }],
    ['by a scheme that only begins like one', { authorization: 'DPoPx abc' }],
    ['as a bearer’s beside a proof', { authorization: 'Bearer abc', dpop: 'proof' }],
  ])('%s is refused', (_, headers) => {
    expect(presentedBy(head(headers), 'http')).toMatchObject({ ok: false, error: { code: 'unauthenticated' } });
  });

  it('a bearer’s needs no proof, in whatever case the scheme is written', () => {
    expect(presentedBy(head({ authorization: 'bEARER abc' }), 'http')).toEqual({ ok: true, value: { token: 'abc' } });
  });

  it.each([
    ['http', 15001, 'http://127.0.0.1:15001/session'],
    ['https', 8443, 'https://127.0.0.1:8443/session'],
    ['https', undefined, 'https://127.0.0.1/session'],
  ] as const)('a bound one by %s at port %s is proven for %s, without its query', (scheme, port, url) => {
    const asked = {
      ...head({ authorization: 'DPoP abc', dpop: 'proof' }),
      target: { path: '/session', host: '127.0.0.1', port },
    } as Framed['head'];
    expect(presentedBy(asked, scheme)).toEqual({ ok: true, value: { token: 'abc', possession: { proof: 'proof', method: 'POST', url } } });
  });

  it('a bound one without a proof is left to whoever knows what it is bound to', () => {
    expect(presentedBy(head({ authorization: 'DPoP abc' }), 'http')).toMatchObject({ value: { possession: { proof: undefined } } });
  });

  it('is not spent again in the same request, and a bearer’s does not become a proven one', () => {
    expect(presentedAgain(head({ authorization: 'DPoP abc', dpop: 'proof' }), 'http')).toEqual({
      ok: true,
      value: { token: 'abc', possession: 'proven' },
    });
    expect(presentedAgain(head({ authorization: 'Bearer abc' }), 'http')).toEqual({ ok: true, value: { token: 'abc' } });
  });
});
