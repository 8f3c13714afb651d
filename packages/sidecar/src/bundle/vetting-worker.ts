/** The worker of `vetting.ts`: parts in, one verdict out. */

import { parentPort, workerData } from 'node:worker_threads';
import { compilePolicy, testPolicy, type PolicyBytes } from './policy-bytes.ts';
import type { VetAnswer } from './vetting.ts';

function vet(bytes: PolicyBytes): VetAnswer {
  const compiled = compilePolicy(bytes);
  const tested = compiled.ok ? testPolicy(compiled.value) : compiled;
  return tested.ok ? { ok: true } : { ok: false, rejection: tested.error };
}

const answer = vet(workerData as PolicyBytes);
// oxlint-disable-next-line unicorn/require-post-message-target-origin -- this is a worker's port, which has no origin
parentPort?.postMessage(answer);
