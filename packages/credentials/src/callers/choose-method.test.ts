/** One credential per request: two would let each reader believe another. */

import { encodeBase64 } from '@sallyport/crypto';
import { foreignAuthority } from '@sallyport/testkit';
import { describe, expect, it } from 'vitest';
import { NOW, callerRequest, methodOf } from '../testing/caller-request.ts';
import type { CallerRequest } from './caller-method.ts';
import { chooseMethod } from './choose-method.ts';

const company = foreignAuthority('company', NOW);
const base = { principals: [] };
const mtls = {
  ...base,
  kind: 'mtls',
  authorities: [encodeBase64(company.certificate)],
  revocationLists: [],
  requiresRevocationList: false,
} as const;
const methods = [
  methodOf({ ...mtls, name: 'clients' }),
  methodOf({ ...base, kind: 'slack', name: 'slack', secret: 's' }),
  methodOf({ ...base, kind: 'api_key', name: 'keys', header: 'authorization', keys: [] }),
];
const KEY = { authorization: 'Bearer sp_0123456789ab_x' };
const SLACK = { 'x-slack-signature': 'v0=x' };
const certified: Partial<CallerRequest> = { peerCertificate: [company.issue({ uris: ['urn:x'] })] };

function chosen(request: CallerRequest, among = methods): string {
  const result = chooseMethod(among, request);
  return result.ok ? (result.value?.name ?? 'none') : result.error.code;
}

describe('the method that judges a request', () => {
  it.each<[string, CallerRequest, string]>([
    ['is none where there is no credential', callerRequest({ authorization: 'Bearer eyJ' }), 'none'],
    ['is that of the credential in the head', callerRequest(SLACK), 'slack'],
    ['is that of the credential in the head, also when it is a bad one', callerRequest({ 'x-slack-signature': '' }), 'slack'],
    ['is that of the head, where the port asks everybody for a certificate', callerRequest(KEY, certified), 'keys'],
    ['is the certificate’s where there is nothing else', callerRequest({}, certified), 'clients'],
    ['is not one of two', callerRequest({ ...KEY, ...SLACK }), 'unauthenticated'],
  ])('%s', (_, request, name) => {
    expect(chosen(request)).toBe(name);
  });

  it('is not one of two sets of authorities', () => {
    const two = [...methods, methodOf({ ...mtls, name: 'partners' })];
    expect(chosen(callerRequest({}, certified), two)).toBe('unauthenticated');
  });
});
