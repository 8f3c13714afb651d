/** What a sidecar tells of its last decisions over its administration socket. It works without the control plane. */

import { Fault, fail, ok } from '@sallyport/model';
import type { Result } from '@sallyport/model';
import type { SeenDecision, Since } from '@sallyport/sidecar';
import { utf8 } from '@sallyport/crypto';
import { judge } from '@sallyport/strict';
import type { Io } from '../io.ts';
import { ask } from '../local-http.ts';
import { refusal } from '../output.ts';
import type { Refusal } from '../output.ts';

export type { SeenDecision } from '@sallyport/sidecar';

export interface Listed {
  /** Newest first. */
  readonly decisions: readonly SeenDecision[];
  /** Where to follow from. */
  readonly next: number;
}

export interface SidecarDecisions {
  /** 1 where it is not remembered. */
  find(id: string): Promise<Result<SeenDecision, Refusal>>;
  list(of: { readonly limit: number; readonly session?: string | undefined }): Promise<Result<Listed, Refusal>>;
  /** What changed since a place; unless told otherwise waits for it, and answers nothing where nothing came for half a minute. */
  since(place: number, options?: { readonly isPatient: boolean }): Promise<Result<Since, Refusal>>;
}

const WAIT_MS = 25_000;
const LIMITS = { bytesMax: 16_777_216, membersMax: 1_000_000 };

export function sidecarDecisions(socketPath: string, io: Pick<Io, 'signal'>): SidecarDecisions {
  const get = async (path: string): Promise<Result<{ readonly status: number; readonly tree: unknown }, Refusal>> => {
    try {
      const answer = await ask({ target: { socketPath }, path, signal: io.signal });
      const judged = judge(utf8(answer.body), { limits: LIMITS });
      return ok({ status: answer.status, tree: judged.ok ? judged.value.tree : null });
    } catch (error) {
      if (!(error instanceof Fault) || io.signal.aborted) throw error;
      return fail(refusal(1, error.message, 'is the sidecar running, and may you enter the folder of its socket?'));
    }
  };
  const odd = (status: number): Result<never, Refusal> =>
    fail(refusal(1, `\`${socketPath}\` answers ${status}, and not as a sidecar does`, 'is it the administration socket of a sidecar?'));
  return {
    async find(id) {
      const answer = await get(`/decisions/${id}`);
      if (!answer.ok) return answer;
      const { status, tree } = answer.value;
      if (status === 404)
        return fail(
          refusal(
            1,
            `the sidecar does not remember decision \`${id}\``,
            'it keeps the last 1,000 of this start; `sallyport audit tail` reads the record',
          ),
        );
      return status === 200 && isSeen(tree) ? ok(tree) : odd(status);
    },
    async list({ limit, session }) {
      const answer = await get(`/decisions?limit=${limit}${session === undefined ? '' : `&session=${encodeURIComponent(session)}`}`);
      if (!answer.ok) return answer;
      const { status, tree } = answer.value;
      return status === 200 && hasDecisions(tree) ? ok(tree) : odd(status);
    },
    async since(place, { isPatient } = { isPatient: true }) {
      const answer = await get(`/decisions?after=${place}&wait_ms=${isPatient ? WAIT_MS : 0}`);
      if (!answer.ok) return answer;
      const { status, tree } = answer.value;
      return status === 200 && hasDecisions(tree) ? ok({ ...tree, gap: tree.gap === true }) : odd(status);
    },
  };
}

/** As much as is read of it here; the socket is the sidecar's own and says the truth about the rest. */
function isSeen(value: unknown): value is SeenDecision {
  const { at, decision } = (value ?? {}) as Partial<SeenDecision>;
  return typeof at === 'string' && typeof decision?.decision_id === 'string';
}

function hasDecisions(value: unknown): value is Listed & { readonly gap?: boolean } {
  const { decisions, next } = (value ?? {}) as Partial<Listed>;
  return Array.isArray(decisions) && decisions.every(isSeen) && typeof next === 'number';
}
