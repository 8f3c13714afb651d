import { describe, expect, test } from 'vitest';
import { ServerMessageSchema, Verdict_Outcome, VerdictSchema, create, fromBinary } from '@sallyport/contract';
import type { ServerMessage } from '@sallyport/contract';
import type { SpiffeId } from '@sallyport/identity';
import type { Area, Digest, Ring } from '@sallyport/model';
import { fakeClock, heldWriter } from '@sallyport/testkit';
import type { FakeClock, HeldWriter } from '@sallyport/testkit';
import { offerBook, statementMessage } from './messages.ts';
import { Subscriber } from './subscriber.ts';
import type { SubscriberOptions, Wanted } from './subscriber.ts';

const PLACE = { area: 'default' as Area, ring: 'default' as Ring };
const digest = (n: number): Digest => `sha256:${String(n).padStart(64, '0')}` as Digest;
const bundle = (n: number): Wanted => ({ kind: 'bundle', digest: digest(n) });
const release = (n: number, ...bundles: readonly number[]): Wanted => ({
  kind: 'release',
  digest: digest(n),
  bundles: bundles.map(digest),
});

interface Setting {
  readonly subscriber: Subscriber;
  readonly out: HeldWriter<ServerMessage>;
  readonly clock: FakeClock;
  readonly answered: string[];
  wanted: readonly Wanted[];
  log: number;
  /** The kinds that were sent, in order. */
  sent(): readonly (string | undefined)[];
  answer(outcome: Verdict_Outcome, code?: string, nonce?: Uint8Array): boolean;
}

function setting(of: Partial<SubscriberOptions> & { readonly snapshotBytes?: number } = {}): Setting {
  const [out, clock] = [heldWriter<ServerMessage>(), fakeClock()] as const;
  const answered: string[] = [];
  let nonce = 0;
  const offers = offerBook((length) => new Uint8Array(length).fill(++nonce));
  const state: Setting = {
    out,
    clock,
    answered,
    wanted: [],
    log: 0,
    sent: () => out.written.map(({ message }) => fromBinary(ServerMessageSchema, message as Uint8Array).message.case),
    answer: (outcome, code = '', nonceOf = new Uint8Array(16).fill(nonce)) =>
      state.subscriber.verdict(create(VerdictSchema, { nonce: nonceOf, outcome, code })),
    subscriber: new Subscriber({
      spiffeId: 'spiffe://t/sidecar/a/1' as SpiffeId,
      place: PLACE,
      out,
      clock,
      revocationSeq: 0,
      verdictWaitMsMax: 60_000,
      active: undefined,
      sources: {
        wanted: () => state.wanted,
        offer: (wanted) =>
          wanted.kind === 'bundle'
            ? (offers.known(wanted.digest) ??
              offers.bundle(wanted.digest, { envelope: new Uint8Array(10), delegation: new Uint8Array(10), deltas: [] }))
            : (offers.known(wanted.digest) ?? offers.release(wanted.digest, new Uint8Array(10))),
        revocationsAfter: async (seq, limit) =>
          Array.from({ length: Math.min(limit, state.log - seq) }, (_, index) => ({ seq: seq + index + 1, envelope: new Uint8Array(100) })),
        snapshot: () => ({ seq: state.log, envelope: new Uint8Array(of.snapshotBytes ?? 100) }),
        answered: (which, isStaged) => answered.push(`${Number(which.slice(-4))} ${isStaged ? 'staged' : 'refused'}`),
        activated: () => answered.push('activated'),
        rejected: ({ kind }, detail) => answered.push(`${kind} ${detail}`),
      },
      ...of,
    }),
  };
  return state;
}

const statement = statementMessage({ seq: 1, envelope: new Uint8Array(100), entriesFor: () => [] }, PLACE);

describe('going back to a bundle of long ago', () => {
  // An object keeps its nonce however often it is offered; the harness counts them up from 1.
  const nonceOf = (offered: number): Uint8Array => new Uint8Array(16).fill(offered);
  const firstNonce = nonceOf(1);
  const play = (): { readonly one: Setting; readonly since: () => readonly (string | undefined)[] } => {
    const one = setting();
    for (let n = 1; n <= 6; n++) {
      one.wanted = [bundle(n), release(10 + n, n)];
      one.subscriber.offerNext();
      one.answer(Verdict_Outcome.STAGED);
      one.answer(Verdict_Outcome.ACTIVE);
    }
    const before = one.sent().length;
    return { one, since: () => one.sent().slice(before) };
  };

  test('offers the bundle before the release, without the release being refused first', () => {
    const { one, since } = play();
    one.wanted = [bundle(1), release(20, 1), bundle(6)];
    one.subscriber.offerNext();
    expect(since()).toEqual(['bundle']);
    one.answer(Verdict_Outcome.STAGED, '', firstNonce);
    one.answer(Verdict_Outcome.ACTIVE);
    expect(since()).toEqual(['bundle', 'release']);
    expect(one.answered.at(-1)).toBe('activated');
  });

  test('does not offer again what was just answered', () => {
    const { one, since } = play();
    one.wanted = [bundle(6), release(20, 6)];
    one.subscriber.offerNext();
    expect(since()).toEqual(['release']);
  });

  test('does not go round for ever where it is refused, or where a release joins more than are surely held', () => {
    const { one, since } = play();
    one.wanted = [bundle(1), bundle(2), bundle(3), bundle(4), bundle(5), release(20, 1, 2, 3, 4, 5)];
    one.subscriber.offerNext();
    // Bundles have the odd nonces. The fourth and fifth were answered last, and are not asked for again.
    for (const n of [1, 3, 5]) one.answer(Verdict_Outcome.REJECTED, 'AREA', nonceOf(n));
    expect(since()).toEqual(['bundle', 'bundle', 'bundle', 'release']);
    one.answer(Verdict_Outcome.REJECTED, 'LAYER');
    expect(since()).toHaveLength(4);
  });
});

describe('offers', () => {
  test('one at a time, in the order of what is wanted now', () => {
    const one = setting();
    one.wanted = [bundle(1), release(2, 1), bundle(3)];
    one.subscriber.offerNext();
    one.subscriber.offerNext();
    expect(one.sent()).toEqual(['bundle']);
    one.wanted = [bundle(1), release(2, 1), bundle(4)];
    one.answer(Verdict_Outcome.STAGED);
    one.answer(Verdict_Outcome.ACTIVE);
    one.answer(Verdict_Outcome.ALREADY);
    one.answer(Verdict_Outcome.ALREADY);
    expect(one.sent()).toEqual(['bundle', 'release', 'bundle']);
    expect(one.answered).toEqual(['1 staged', 'activated', '4 staged']);
  });

  test('a refusal settles a bundle, and what comes after is offered all the same', () => {
    const one = setting();
    one.wanted = [bundle(1), bundle(2)];
    one.subscriber.offerNext();
    one.answer(Verdict_Outcome.REJECTED, 'SELFTEST');
    expect(one.answered).toEqual(['bundle SELFTEST: ', '1 refused']);
    expect(one.sent()).toEqual(['bundle', 'bundle']);
  });

  test('what is enforced there is not offered, nor the bundles of it', () => {
    const one = setting({ active: digest(9) });
    one.wanted = [bundle(1), release(9, 1), bundle(2)];
    one.subscriber.offerNext();
    expect(one.sent()).toEqual(['bundle']);
    expect(one.answered).toEqual(['1 staged']);
  });

  test('a verdict that says nothing is refused', () => {
    const one = setting();
    one.wanted = [bundle(1)];
    one.subscriber.offerNext();
    expect(one.answer(Verdict_Outcome.UNSPECIFIED)).toBe(false);
  });

  test('the wait for a verdict ends with the verdict', async () => {
    const one = setting();
    one.wanted = [bundle(1)];
    one.subscriber.offerNext();
    one.answer(Verdict_Outcome.STAGED);
    await one.clock.advance(120_000);
    expect(one.subscriber.ended.aborted).toBe(false);
    expect(one.clock.timers).toBe(0);
  });
});

describe('a stream that does not drain', () => {
  test('gets nothing but revocations, then Reconnect', async () => {
    const one = setting();
    one.out.fill('priority');
    one.log = 2;
    await one.subscriber.sendRevocations();
    expect(one.subscriber.send(statement)).toBe(false);
    expect(one.sent()).toEqual(['revocation', 'revocation', 'reconnect']);
    expect(one.subscriber.ended.aborted).toBe(true);
  });

  test('is ended even where no goodbye fits, and is sent nothing more', async () => {
    const one = setting();
    one.out.fill('all');
    one.log = 1;
    await one.subscriber.sendRevocations();
    expect(one.subscriber.ended.aborted).toBe(true);
    one.out.fill('priority');
    await one.subscriber.sendRevocations();
    one.subscriber.offerNext();
    expect(one.sent()).toEqual([]);
  });
});

describe('revocations', () => {
  test('each once, in order', async () => {
    const one = setting({ revocationSeq: 3 });
    one.log = 5;
    // Asked for twice at once: each is sent once.
    await Promise.all([one.subscriber.sendRevocations(), one.subscriber.sendRevocations()]);
    one.log = 6;
    await one.subscriber.sendRevocations();
    expect(one.sent()).toEqual(['revocation', 'revocation', 'revocation']);
    expect(one.out.written.every(({ priority }) => priority)).toBe(true);
  });

  test('far behind, a snapshot, if it is small enough for the stream', async () => {
    const small = setting();
    small.log = 65;
    await small.subscriber.sendRevocations();
    expect(small.sent()).toEqual(['revocationSnapshot']);
    const large = setting({ snapshotBytes: 20_000 });
    large.log = 600;
    await large.subscriber.sendRevocations();
    expect(large.sent()).toHaveLength(600);
  });
});
