import { expect, test } from 'vitest';
import { Fleet } from '@sallyport/contract';
import type { SpiffeId } from '@sallyport/identity';
import { Bug, Fault, ok } from '@sallyport/model';
import type { Instant } from '@sallyport/model';
import type { GrpcStatus } from '@sallyport/net';
import { AUTHORIZATION } from './authorization.ts';
import type { Caller } from './callers.ts';
import { guarded } from './rpc.ts';
import type { ProvenHandlers } from './rpc.ts';

const ALICE: Caller = {
  spiffeId: 'spiffe://t/admin/alice' as SpiffeId,
  purpose: { kind: 'admin', name: 'alice' },
  notAfter: 0 as Instant,
  certificate: new Uint8Array(),
};

type Answer = Promise<{ readonly ok: true } | { readonly ok: false; readonly error: GrpcStatus }>;

/** Calls `status` of a service whose handler does this. */
function call(handler: () => Promise<never>, caller: Caller | undefined, told: string[]): Answer {
  const unreached = async (): Promise<never> => Promise.reject(new Bug('must not be reached'));
  const handlers = { status: handler, watch: unreached, createJoinToken: unreached } as unknown as ProvenHandlers<typeof Fleet>;
  const served = guarded(Fleet, {
    table: AUTHORIZATION.Fleet,
    prove: () => caller,
    handlers,
    onRefused: ({ method, code }) => told.push(`refused ${method} ${code}`),
    onFault: (method, fault) => told.push(`fault ${method} ${fault.code}`),
  });
  const status = served.handlers['status'] as (request: unknown, call: unknown) => Answer;
  return status({}, { peer: undefined, address: '127.0.0.1:1', signal: new AbortController().signal });
}

test('a caller that is not admitted does not reach the handler', async () => {
  const told: string[] = [];
  const handler = async (): Promise<never> => Promise.reject(new Bug('must not be reached'));
  expect(await call(handler, undefined, told)).toMatchObject({ ok: false, error: { code: 'unauthenticated' } });
  const sidecar = { ...ALICE, purpose: { kind: 'collector' } } as const;
  expect(await call(handler, sidecar, told)).toMatchObject({ ok: false, error: { code: 'permission_denied' } });
  expect(told).toEqual(['refused status UNAUTHENTICATED', 'refused status PERMISSION_DENIED']);
});

test('a fault of disk or database is `unavailable`, without its text', async () => {
  const told: string[] = [];
  const handler = async (): Promise<never> => Promise.reject(new Fault('store_failed', 'internal', 'while writing `/secret/path`'));
  const answer = await call(handler, ALICE, told);
  expect(answer).toMatchObject({ ok: false, error: { code: 'unavailable' } });
  expect(JSON.stringify(answer)).not.toContain('secret');
  expect(told).toEqual(['fault status store_failed']);
});

test('a bug stays a bug', async () => {
  await expect(call(async () => Promise.reject(new Bug('broken promise')), ALICE, [])).rejects.toBeInstanceOf(Bug);
  expect(await call(async () => Promise.resolve(ok(undefined) as never), ALICE, [])).toEqual(ok(undefined));
});
