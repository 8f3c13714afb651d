/**
 * Compiles a bundle, or a joined set, and runs its self-tests in a worker that is started for this one and then ends: ten thousand
 * rules must not stall calls, and a policy that eats memory must not take the process with it.
 */

import { fail, ok, type Result } from '@sallyport/model';
import { reject, type Rejection } from '@sallyport/trust';
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { PolicyBytes } from './policy-bytes.ts';

/** Says whether the parts join, compile and pass their own tests. LAYER, COMPILE, SELFTEST or RESOURCE otherwise. */
export type Vet = (bytes: PolicyBytes) => Promise<Result<void, Rejection>>;

/** What the worker answers; plain values, because closures do not cross threads. */
export type VetAnswer = { readonly ok: true } | { readonly ok: false; readonly rejection: Rejection };

const HEAP_MB_MAX = 512;

/** The vetting of a sidecar. */
export const vetInWorker: Vet = workerVet({ heapMbMax: HEAP_MB_MAX });

/** Vetting with so much memory for each worker. */
export function workerVet({ heapMbMax }: { readonly heapMbMax: number }): Vet {
  return (bytes) => vet(bytes, heapMbMax);
}

function vet(bytes: PolicyBytes, heapMbMax: number): Promise<Result<void, Rejection>> {
  return new Promise((resolve) => {
    const worker = new Worker(new URL(`./vetting-worker${extname(import.meta.url)}`, import.meta.url), {
      workerData: bytes,
      resourceLimits: { maxOldGenerationSizeMb: heapMbMax },
      stdout: false,
      stderr: false,
    });
    const end = (result: Result<void, Rejection>): void => {
      resolve(result);
      void worker.terminate();
    };
    worker.once('message', (answer: VetAnswer) => end(answer.ok ? ok(undefined) : fail(answer.rejection)));
    // Running out of memory ends the worker, not the process.
    worker.once('error', (error: Error) => end(fail(reject('RESOURCE', `vetting failed: ${error.message}`))));
    worker.once('exit', () => resolve(fail(reject('RESOURCE', 'vetting ended without an answer'))));
  });
}
