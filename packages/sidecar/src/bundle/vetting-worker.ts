/** The worker of `vetting.ts`: one bundle's parts in, one verdict out. */

import type { PartName } from '@sallyport/model';
import { compile, readParts, runTests } from '@sallyport/policy';
import { reject } from '@sallyport/trust';
import { parentPort, workerData } from 'node:worker_threads';
import type { VetAnswer } from './vetting.ts';

function vet(parts: Readonly<Record<PartName, Uint8Array>>): VetAnswer {
  const read = readParts(parts);
  if (!read.ok) return { ok: false, rejection: reject('COMPILE', 'the parts do not read', read.error) };
  const policy = compile(read.value);
  if (!policy.ok) return { ok: false, rejection: reject('COMPILE', 'the policy does not compile', policy.error) };
  const report = runTests(policy.value);
  if (report.failed === 0) return { ok: true };
  return {
    ok: false,
    rejection: reject('SELFTEST', `${report.failed} of ${report.passed + report.failed} self-tests fail`, report.problems),
  };
}

const answer = vet(workerData as Readonly<Record<PartName, Uint8Array>>);
// oxlint-disable-next-line unicorn/require-post-message-target-origin -- this is a worker's port, which has no origin
parentPort?.postMessage(answer);
