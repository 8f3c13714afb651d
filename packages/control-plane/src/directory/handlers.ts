/** The Directory service on the wire. */

import { DirectoryHeadSchema, SubmitResponseSchema, create } from '@sallyport/contract';
import type { Directory } from '@sallyport/contract';
import { fail, ok } from '@sallyport/model';
import type { Result } from '@sallyport/model';
import { grpcStatus } from '@sallyport/net';
import type { ProvenHandlers } from '../rpc.ts';
import { digestOfText } from '../wire.ts';
import type { Submission, Submitted } from './api.ts';
import type { DirectoryHead } from './store.ts';

export interface DirectoryHandlersOptions {
  readonly head: () => DirectoryHead | undefined;
  readonly submit: (submission: Submission) => Promise<Result<Submitted, string>>;
  readonly hasSigner: () => boolean;
}

const NO_KEY = 'this control plane has no directory key';

export function directoryHandlers({ head, submit, hasSigner }: DirectoryHandlersOptions): ProvenHandlers<typeof Directory> {
  return {
    async submit({ digest }, call) {
      const content = digestOfText(digest);
      if (content === undefined) return fail(grpcStatus('invalid_argument', 'a digest is needed'));
      if (!hasSigner()) return fail(grpcStatus('failed_precondition', NO_KEY));
      const submitted = await submit({ content, actor: call.caller.spiffeId });
      if (!submitted.ok) return ok(create(SubmitResponseSchema, { refusal: submitted.error }));
      const { added, changed, removed } = submitted.value;
      return ok(create(SubmitResponseSchema, { seq: BigInt(submitted.value.seq), added, changed, removed }));
    },
    async getHead() {
      if (!hasSigner()) return fail(grpcStatus('failed_precondition', NO_KEY));
      const held = head();
      if (held === undefined) return ok(create(DirectoryHeadSchema, {}));
      const { seq, content, issuedAt, principals } = held;
      return ok(create(DirectoryHeadSchema, { seq: BigInt(seq), content, issuedAtMs: BigInt(issuedAt), principals }));
    },
  };
}
