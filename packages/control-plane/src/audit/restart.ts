/**
 * What the first line of a stream says about the streams before it: whether its writer's last stream ended cleanly, is
 * held to its end, and is the one that the writer remembers. A restart that hides records shows here.
 * docs/spec/control-plane.md section 8.4.
 */

import { headHex } from '@sallyport/audit';
import type { StreamEnd } from '@sallyport/audit';
import { endOf } from './held-streams.ts';
import type { HeldStream } from './streams.ts';
import type { Suspicion } from './suspicion.ts';

export interface RestartFacts {
  /** The stream that has begun. */
  readonly begun: HeldStream;
  /** Other streams of the same writer, in the order in which they began. */
  readonly earlier: readonly HeldStream[];
  /** The highest head that the writer has told of itself, in beats. */
  readonly reported: StreamEnd | undefined;
  /** Whether the lack of a CLOSE was alerted before. */
  readonly isKnownUnclosed: (held: HeldStream) => boolean;
}

/** Every suspicion that a restart raises; none for the first start, or after a clean stop that is held whole. */
export function judgeRestart({ begun, earlier, reported, isKnownUnclosed }: RestartFacts): readonly Suspicion[] {
  const { previous, writer: source } = begun;
  const suspicions: Suspicion[] = [];
  const suspect = (code: Suspicion['code'], held: HeldStream, detail: string): void => {
    suspicions.push({ code, subject: endOf(held), detail, source });
  };
  const prior = earlier.find((held) => held.chain.stream === previous?.stream);
  const last = earlier.at(-1);
  if (last !== undefined && prior === undefined)
    suspect(
      'UNLINKED_RESTART',
      begun,
      `it begins ${previous === null ? 'as if for the first time' : `after ${previous.stream}`}, and ${last.chain.stream} is held`,
    );
  if (prior === undefined && previous !== null && last === undefined)
    suspect('UNLINKED_RESTART', begun, `it begins after ${previous.stream}, of which nothing is held`);
  if (prior !== undefined && previous !== null) {
    const held = prior.chain;
    if (held.seq < previous.seq) suspect('GAP', prior, `the stream ended at ${previous.seq}, and records are held up to ${held.seq}`);
    else if (held.seq > previous.seq) suspect('TRUNCATED', prior, `the writer remembers ${previous.seq} records, and ${held.seq} are held`);
    else if (headHex(held) !== previous.head) suspect('FORK', prior, `the writer remembers another head at seq ${held.seq}`);
  }
  const remembered = previous?.stream === reported?.stream ? previous : null;
  if (reported !== undefined && remembered !== null && remembered.seq < reported.seq)
    suspicions.push({
      code: 'TRUNCATED',
      subject: reported,
      detail: `seq ${reported.seq} was reported, and the writer remembers ${remembered.seq}`,
      source,
    });
  for (const held of earlier)
    if (!held.isClosed && !isKnownUnclosed(held))
      suspect('UNCLOSED', held, `the last record held is ${held.chain.seq}, and the next stream has begun`);
  return suspicions;
}
