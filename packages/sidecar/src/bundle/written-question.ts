/**
 * The sidecar's question where no stream carries it: a file beside the high-water mark, there while a proof is needed. Its
 * answer is looked for under the question's own name. docs/spec/watched-directory.md section 5.
 */

import type { Area, Clock, Ring } from '@sallyport/model';
import { writeFileAtomically, type FileSystem } from '@sallyport/runtime';
import { encodeChallenge, FRESHNESS_TTL_MS_MAX, proofFileName, type Challenge } from '@sallyport/trust';
import type { Activator } from './activator.ts';

export interface WrittenQuestionOptions {
  readonly challengeFile: string;
  readonly place: { readonly area: Area; readonly ring: Ring };
  readonly activator: Pick<Activator, 'ask' | 'isOpen' | 'mustProve' | 'ttlMsMax'>;
  readonly clock: Clock;
  readonly disk: FileSystem;
  /** The file lies there now. */
  readonly onAsked: () => void;
}

export interface WrittenQuestion {
  /** The file that would answer it; `undefined` while nothing is asked. */
  readonly answer: string | undefined;
  /** A statement was refused for its instant or number: only a proof shows whether that was right. */
  want(): void;
  /** Writes, replaces or removes the file, as is due. Rejects with a Fault where the disk fails. */
  tend(): Promise<void>;
}

export function writtenQuestion({ challengeFile, place, activator, clock, disk, onAsked }: WrittenQuestionOptions): WrittenQuestion {
  // Owner: this question. Of an earlier start nothing is known: a question ends with the process that asked it.
  let open: Challenge | undefined;
  let isWanted = false;
  /** Whether the file may lie there; at the start one may be left over. */
  let isThere = true;
  /** A proof is as old as its question: beyond the longest ttl it could not make anything fresh. */
  const isOutlived = ({ sentAt }: Challenge): boolean => clock.boot() - sentAt >= (activator.ttlMsMax ?? FRESHNESS_TTL_MS_MAX);
  const ask = async (): Promise<void> => {
    // Asked before it is written: its age may begin a little early, and never late.
    const asked = activator.ask('written');
    isThere = true;
    await writeFileAtomically(disk, challengeFile, encodeChallenge({ ...asked, ...place }, clock.wall()));
    open = asked;
    onAsked();
  };
  return {
    get answer() {
      return open === undefined ? undefined : proofFileName(open.nonce);
    },
    want: () => {
      isWanted = true;
    },
    async tend() {
      if (open !== undefined && !activator.isOpen(open)) [open, isWanted] = [undefined, false];
      if (activator.mustProve || isWanted) {
        if (open === undefined || isOutlived(open)) await ask();
        return;
      }
      if (isThere) disk.unlink(challengeFile);
      [open, isThere] = [undefined, false];
    },
  };
}
