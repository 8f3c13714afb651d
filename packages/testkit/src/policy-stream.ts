/**
 * The sidecar's end of a policy stream, by the protocol alone: it says what a test tells it to, remembers what came, and
 * waits for the next message of a kind. It verifies nothing; that is the test's business.
 */

import { ClientMessageSchema, HelloSchema, PolicyPlane, VerdictSchema, Verdict_Outcome, create } from '@sallyport/contract';
import type { ClientMessage, HeldReleaseSchema, Hello, MessageInitShape, ServerMessage } from '@sallyport/contract';
import { randomBytes } from '@sallyport/crypto/keys';
import { invariant } from '@sallyport/model';
import { createClient } from '@sallyport/net';
import type { Channel, GrpcStatus } from '@sallyport/net';

type Kind = NonNullable<ServerMessage['message']['case']>;
type Of<K extends Kind> = Extract<ServerMessage['message'], { case: K }>['value'];

/** What a verdict says besides its outcome. */
export interface VerdictOf {
  readonly code?: string;
  readonly detail?: string;
  readonly active?: MessageInitShape<typeof HeldReleaseSchema>[];
}

/** One reader at a time. */
export interface PolicyStream {
  /** Everything that came, in order. */
  readonly received: readonly ServerMessage[];
  hello(of?: MessageInitShape<typeof HelloSchema>): Hello;
  say(message: ClientMessage['message']): void;
  /** The next message of this kind that was not taken yet, however many of other kinds come before it. Rejects when the stream ends first. */
  next<K extends Kind>(kind: K): Promise<Of<K>>;
  /** Answers the newest message that wants a verdict. */
  answer(outcome: keyof typeof Verdict_Outcome, of?: VerdictOf): void;
  /** Answers every offer as it comes: bundles STAGED, releases ACTIVE. */
  obey(): void;
  readonly status: Promise<GrpcStatus>;
  close(): void;
}

/** Opens a stream; nothing is said until `hello`. */
export function policyStream(channel: Channel): PolicyStream {
  const over = new AbortController();
  const { out, incoming } = createClient(PolicyPlane, channel).subscribe({ signal: over.signal });
  const received: ServerMessage[] = [];
  const taken = new Set<ServerMessage>();
  let wake: () => void = () => undefined;
  let isObedient = false;
  let isOver = false;

  const say = (message: ClientMessage['message']): void => {
    out.write(create(ClientMessageSchema, { message }), { priority: true });
  };
  const verdict = (nonce: Uint8Array, outcome: Verdict_Outcome, of: VerdictOf = {}): void =>
    say({ case: 'verdict', value: create(VerdictSchema, { ...of, nonce, outcome }) });
  const obey = ({ nonce, message }: ServerMessage): void => {
    if (message.case === 'bundle') verdict(nonce, Verdict_Outcome.STAGED);
    if (message.case === 'release') verdict(nonce, Verdict_Outcome.ACTIVE);
  };
  void (async () => {
    for await (const message of incoming) {
      received.push(message);
      if (isObedient) obey(message);
      wake();
    }
    isOver = true;
    wake();
  })();

  return {
    received,
    say,
    status: incoming.status,
    hello(of = {}) {
      const hello = create(HelloSchema, { nonce: randomBytes(32), build: 'test/1', isolation: 'advisory', ...of });
      say({ case: 'hello', value: hello });
      return hello;
    },
    async next(kind) {
      for (;;) {
        const found = received.find((message) => message.message.case === kind && !taken.has(message));
        if (found !== undefined) {
          taken.add(found);
          return found.message.value as never;
        }
        if (isOver) throw new Error(`the stream ended before a ${kind}: ${JSON.stringify(await incoming.status)}`);
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
    answer(outcome, of) {
      const asked = received.findLast((message) => message.nonce.byteLength > 0);
      invariant(asked !== undefined, 'nothing was offered');
      verdict(asked.nonce, Verdict_Outcome[outcome], of);
    },
    obey() {
      isObedient = true;
      for (const message of received) obey(message);
    },
    close() {
      out.end();
      over.abort();
    },
  };
}
