import type { JsonObject } from '@sallyport/model';
import { describe, expect, it } from 'vitest';
import { type SessionEpoch, epochOf, formatSessionId, isSessionEpoch, readSessionClaims, tieSession } from './session.ts';
import type { SpiffeId } from './spiffe.ts';

const EPOCH = '5f0c1d2e3a4b5c6d' as SessionEpoch;
const SIDECAR = 'spiffe://td/sidecar/support/1' as SpiffeId;
const ID = formatSessionId(
  EPOCH,
  Uint8Array.from({ length: 16 }, (_, i) => i * 17),
);
const CLAIMS: JsonObject = {
  iss: SIDECAR,
  aud: `${SIDECAR}#outbound`,
  sub: 'alice@company.com',
  agent: 'support',
  sid: ID,
  epoch: EPOCH,
  jti: 'j',
  iat: 1000,
  exp: 1900,
};

describe('a session id', () => {
  it('carries the start that opened it', () => {
    expect(ID).toBe('5f0c1d2e3a4b5c6d.ABEiM0RVZneImaq7zN3u_w');
    expect(epochOf(ID)).toBe(EPOCH);
    expect(isSessionEpoch(EPOCH)).toBe(true);
  });

  it.each(['', 'x', ID.slice(0, -1), `${ID}A`, ID.toUpperCase(), ID.replace('.', '-'), `${EPOCH}.`, ` ${ID}`])('is not %j', (text) => {
    expect(epochOf(text)).toBeUndefined();
  });
});

describe('the claims of a session token', () => {
  it('are read whole', () => {
    expect(readSessionClaims(CLAIMS, SIDECAR, 'outbound')).toEqual({
      ok: true,
      value: {
        issuer: SIDECAR,
        operator: 'alice@company.com',
        agent: 'support',
        sessionId: ID,
        epoch: EPOCH,
        tokenId: 'j',
        issuedAt: 1_000_000,
        expiresAt: 1_900_000,
      },
    });
  });

  it.each<[string, JsonObject, string]>([
    ['of another sidecar', { ...CLAIMS, iss: 'spiffe://td/sidecar/support/2' }, 'iss'],
    ['for the other leg', { ...CLAIMS, aud: `${SIDECAR}#inbound` }, 'aud'],
    ['for a list of audiences', { ...CLAIMS, aud: [`${SIDECAR}#outbound`] }, 'aud'],
    ['with a claim more', { ...CLAIMS, human_reviewed: true }, 'human_reviewed'],
    ['without a subject', { ...CLAIMS, sub: '' }, 'sub'],
    ['with a session of another epoch', { ...CLAIMS, epoch: '0000000000000000' }, 'sid'],
    ['with an agent that is no name', { ...CLAIMS, agent: 'Support' }, 'agent'],
    ['without an expiry', { ...CLAIMS, exp: null }, 'exp'],
  ])('are refused %s', (_, claims, path) => {
    const read = readSessionClaims(claims, SIDECAR, 'outbound');
    expect(read.ok ? [] : read.error.map((problem) => problem.path)).toContain(path);
  });
});

it('the claims of a client’s token are read on its own leg alone', () => {
  const claims = { ...CLAIMS, aud: `${SIDECAR}#inbound` };
  expect(readSessionClaims(claims, SIDECAR, 'inbound').ok).toBe(true);
  expect(readSessionClaims(CLAIMS, SIDECAR, 'inbound').ok).toBe(false);
});

describe('the tie of a call', () => {
  it.each([
    [{ header: 'one' }, 'one'],
    [{ meta: 'one' }, 'one'],
    [{ header: 'one', meta: 'one' }, 'one'],
    [{ header: 'one', meta: 'two' }, 'session_binding_mismatch'],
    [{ header: 'one', meta: '' }, 'session_binding_mismatch'],
    [{}, 'session_unknown'],
    [{ header: '' }, 'session_unknown'],
  ])('%j gives %s', (ties, expected) => {
    const tie = tieSession(ties);
    expect(tie.ok ? tie.value : tie.error.code).toBe(expected);
  });
});
