import type { DecisionId } from '@sallyport/model';
import { describe, expect, it } from 'vitest';
import { formatTieHandle, formatTraceTie, isTraceparent, readTraceTie, tiedTrace } from './trace-tie.ts';

const HANDLE = formatTieHandle(new Uint8Array(16).fill(7));

describe('the tie in a trace’s state', () => {
  it('is found among the members of others, wherever it stands', () => {
    for (const state of [formatTraceTie(HANDLE), `a=1,sallyport=${HANDLE}`, ` vendor@x=1 , sallyport=${HANDLE}\t,b=2`])
      expect(readTraceTie(state)).toBe(HANDLE);
  });

  it.each([
    ['no state', undefined],
    ['an empty state', ''],
    ['others alone', 'a=1,b=2'],
    ['a key that only begins so', `sallyport2=${HANDLE}`],
    ['a key that only ends so', `x/sallyport=${HANDLE}`],
    ['a tenant’s key', `t@sallyport=${HANDLE}`],
    ['the key in another case', `Sallyport=${HANDLE}`],
    ['the handle in another’s value', `a=sallyport:${HANDLE}`],
  ])('is none in %s', (_, state) => {
    expect(readTraceTie(state)).toBeUndefined();
  });

  it.each([
    ['two', `sallyport=${HANDLE},sallyport=${formatTieHandle(new Uint8Array(16).fill(8))}`],
    ['the same twice', `sallyport=${HANDLE},sallyport=${HANDLE}`],
    ['one and what is no handle', `sallyport=${HANDLE},sallyport=x`],
    ['no handle', 'sallyport='],
    ['a longer one', `sallyport=${HANDLE}A`],
    ['one with a sign in it', `sallyport=${HANDLE.slice(1)}=`],
  ])('is ambiguous as %s', (_, state) => {
    expect(readTraceTie(state)).toBe('ambiguous');
  });
});

describe('the trace that a tie rides in', () => {
  const given = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00';
  const decision = '01KAF0Z5H8Q7M3T9V2X4C6B8N0' as DecisionId;

  it('is the caller’s where that is valid, its sampling too', () => {
    expect(tiedTrace(given, decision)).toBe(given);
  });

  it.each([undefined, '', 'text', given.toUpperCase(), `00-${'0'.repeat(32)}-00f067aa0ba902b7-01`, given.replace('00-', 'ff-')])(
    'begins anew where the caller’s is %j, another for another decision, and says nothing of a handle',
    (shown) => {
      const begun = tiedTrace(shown, decision);
      expect(isTraceparent(begun)).toBe(true);
      expect(begun).not.toBe(tiedTrace(shown, '01KAF0Z5H8Q7M3T9V2X4C6B8N1' as DecisionId));
      expect(begun).not.toContain(HANDLE);
    },
  );
});
