import { describe, expect, it } from 'vitest';
import type { JsonObject } from '@sallyport/model';
import { judge } from './judged.ts';
import { compileSchema } from './schema.ts';

/** Whether `{ x: text }` fits a schema whose one argument has these keywords. */
function fits(keywords: JsonObject, text: string): boolean {
  const schema = compileSchema({ required: ['x'], properties: { x: { type: 'string', ...keywords } } }, '');
  if (!schema.ok) throw new Error(JSON.stringify(schema.error));
  const judged = judge(new TextEncoder().encode(JSON.stringify({ x: text })));
  return judged.ok && schema.value.validate(judged.value).ok;
}

const problemsOf = (keywords: JsonObject): readonly string[] => {
  const schema = compileSchema({ properties: { x: { type: 'string', ...keywords } } }, '');
  return schema.ok ? [] : schema.error.map(({ path, message }) => `${path}: ${message}`);
};

describe('a URI that must be at a listed host', () => {
  const keywords = { format: 'uri', hosts: ['api.example.com', '*.docs.example.com', 'internal.example.com:8443'] };

  it.each([
    'https://api.example.com',
    'https://API.example.COM/v1?q=@evil.com#x',
    'http://api.example.com:80/',
    'https://a.docs.example.com/',
    'https://a.b.docs.example.com:443/',
    'https://internal.example.com:8443/x',
  ])('%s is', (uri) => expect(fits(keywords, uri)).toBe(true));

  it.each([
    ['another host', 'https://evil.com/'],
    ['the listed host as a user', 'https://api.example.com@evil.com/'],
    ['a user at the listed host', 'https://user@api.example.com/'],
    ['the listed host as a label', 'https://api.example.com.evil.com/'],
    ['a host that ends like it', 'https://evilapi.example.com/'],
    ['the wildcard’s own name', 'https://docs.example.com/'],
    ['a host that ends like the wildcard', 'https://evildocs.example.com/'],
    ['another port', 'https://api.example.com:8443/'],
    ['the usual port where another is listed', 'https://internal.example.com/'],
    ['the port of the other scheme', 'http://api.example.com:443/'],
    ['an address', 'http://127.0.0.1/'],
    ['an address as one number', 'http://2130706433/'],
    ['an IPv6 address', 'http://[::1]/'],
    ['a trailing dot', 'https://api.example.com./'],
    ['an escaped host', 'https://api%2Eexample.com/'],
    ['another scheme', 'ftp://api.example.com/'],
    ['a scheme without authority', 'https:api.example.com'],
    ['a backslash', 'https://evil.com\\@api.example.com/'],
    ['a host behind a query', 'https://evil.com?://api.example.com/'],
  ])('%s is not', (_, uri) => expect(fits(keywords, uri)).toBe(false));
});

describe('a host name, a recipient, a path', () => {
  it.each([
    [{ format: 'hostname', hosts: ['db.example.com'] }, 'db.example.com', true],
    [{ format: 'hostname', hosts: ['db.example.com'] }, 'db.example.com.evil.com', false],
    [{ format: 'email', domains: ['example.com'] }, 'bob@example.com', true],
    [{ format: 'email', domains: ['example.com'] }, 'bob@EXAMPLE.com', true],
    [{ format: 'email', domains: ['example.com'] }, 'bob@sub.example.com', false],
    [{ format: 'email', domains: ['*.example.com'] }, 'bob@sub.example.com', true],
    [{ format: 'email', domains: ['example.com'] }, 'bob@example.com@evil.com', false],
    [{ format: 'path', under: ['reports/2026'] }, 'reports/2026', true],
    [{ format: 'path', under: ['reports/2026'] }, 'reports/2026/q1.csv', true],
    [{ format: 'path', under: ['reports/2026'] }, 'reports/2026-secret/q1.csv', false],
    [{ format: 'path', under: ['reports'] }, 'reports/../secret', false],
    [{ format: 'absolute-path', under: ['/srv/data'] }, '/srv/data/a', true],
    [{ format: 'absolute-path', under: ['/srv/data'] }, '/srv/database', false],
    [{ format: 'absolute-path', under: ['/srv/data'] }, '/srv/data/../../etc/passwd', false],
    [{ format: 'absolute-path', under: ['/srv/data'] }, '//srv/data/a', false],
    [{ format: 'absolute-path', under: ['/'] }, '/etc/passwd', true],
  ])('%j: %s', (keywords, text, expected) => expect(fits(keywords, text)).toBe(expected));
});

describe('a list that would not do what it says is refused', () => {
  it.each([
    [{ hosts: ['a.example.com'] }, 'x.hosts'],
    [{ format: 'email', hosts: ['a.example.com'] }, 'x.hosts'],
    [{ format: 'path', domains: ['example.com'] }, 'x.domains'],
    [{ format: 'uri', hosts: [] }, 'x.hosts'],
    [{ format: 'uri', hosts: 'a.example.com' }, 'x.hosts'],
    [{ format: 'uri', hosts: ['https://a.example.com'] }, 'x.hosts'],
    [{ format: 'uri', hosts: ['A.example.com'] }, 'x.hosts'],
    [{ format: 'uri', hosts: ['*'] }, 'x.hosts'],
    [{ format: 'uri', hosts: ['*.com'] }, 'x.hosts'],
    [{ format: 'hostname', hosts: ['a.example.com:80'] }, 'x.hosts'],
    [{ format: 'email', domains: ['bob@example.com'] }, 'x.domains'],
    [{ format: 'path', under: ['/srv'] }, 'x.under'],
    [{ format: 'absolute-path', under: ['srv'] }, 'x.under'],
    [{ format: 'absolute-path', under: ['/srv/'] }, 'x.under'],
  ])('%j', (keywords, place) => expect(problemsOf(keywords as JsonObject).join('\n')).toContain(place));
});
