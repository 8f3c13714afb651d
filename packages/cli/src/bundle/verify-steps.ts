/**
 * Acceptance of a bundle, told step by step: the very functions that a sidecar runs, in its order, each with its name
 * and what it found. docs/spec/trust-v1.md section 7.
 */

import { PART_NAMES } from '@sallyport/model';
import type { Area, Instant, PartName, Ring } from '@sallyport/model';
import { FEATURES, compile, readParts, runTests } from '@sallyport/policy';
import { EMPTY_HIGH_WATER, acceptManifest, acceptParts, parseEnvelope, readBundle, trustDelegation } from '@sallyport/trust';
import type { Rejection, RejectCode, SignedManifest, TrustedRoot, VerifiedBundle } from '@sallyport/trust';
import { counted } from '../output.ts';
import type { BundleFiles } from './bundle-files.ts';

export const STEPS = ['size', 'root', 'delegation', 'signatures', 'digests', 'features', 'area', 'compile', 'tests'] as const;
export type StepName = (typeof STEPS)[number];

export interface Step {
  readonly step: StepName;
  readonly result: 'ok' | 'failed' | 'not reached';
  readonly detail: string;
}

export interface VerifyOptions {
  readonly root: TrustedRoot;
  /** Envelope of the delegation. */
  readonly delegation: Uint8Array;
  readonly at: Instant;
  /** For which area it is to be good; its own where none is named. */
  readonly area: Area | undefined;
}

/** Which step speaks a code. */
const STEP_OF: Readonly<Record<RejectCode, StepName>> = {
  SIZE: 'size',
  ROOT: 'root',
  DELEGATION: 'delegation',
  SIGNATURE: 'signatures',
  DIGEST: 'digests',
  MIN_VERSION: 'features',
  AREA: 'area',
  LAYER: 'compile',
  COMPILE: 'compile',
  SELFTEST: 'tests',
  RESOURCE: 'compile',
  ROLLBACK: 'delegation',
  EQUIVOCATION: 'delegation',
};

/** Every step in order; all are `ok`, or one has failed and those behind it were not reached. */
export function verifySteps(
  { envelope, manifest: payload, parts }: BundleFiles & { readonly envelope: Uint8Array },
  options: VerifyOptions,
): readonly Step[] {
  const claimed = readBundle(payload);
  const area = options.area ?? (claimed.ok ? claimed.value.area : ('default' as Area));
  const signed = acceptManifest(
    { bundle: envelope, delegation: options.delegation },
    {
      root: options.root,
      highWater: EMPTY_HIGH_WATER,
      at: options.at,
      receiver: { area, ring: 'default' as Ring, identity: `spiffe://${options.root.trustDomain}/control-plane` },
      features: new Set(FEATURES),
    },
  );
  if (!signed.ok)
    return failedAt({ ...signed.error, detail: [signed.error.detail, ...whoSigned(signed.error, envelope, options)].join('; ') }, []);
  const done: Step[] = [
    passed('size', `${envelope.byteLength} bytes of envelope`),
    passed('root', `root ${options.root.number} of ${options.root.trustDomain}, profile ${options.root.profile}, from the pin`),
    passed(
      'delegation',
      `${counted(signed.value.delegation.publishers.keys.length, 'publisher')} of ${signed.value.delegation.area}, ${signed.value.delegation.publishers.threshold} needed`,
    ),
    passed('signatures', `bundle ${signed.value.digest}, revision ${signed.value.payload.revision} of ${signed.value.payload.area}`),
  ];
  return verifyContent(signed.value, parts, done);
}

/** Of too few signatures: whose are there, and whose would count. Ids in an envelope are claims, so only what looks like one is shown. */
function whoSigned({ code }: Rejection, bytes: Uint8Array, { root, delegation, at }: VerifyOptions): readonly string[] {
  const envelope = parseEnvelope('Bundle', bytes);
  const trusted = trustDelegation(delegation, { root, highWater: EMPTY_HIGH_WATER, at });
  if (code !== 'SIGNATURE' || !envelope.ok || !trusted.ok) return [];
  const claimed = envelope.value.signatures.map(({ keyId }) => (/^[0-9a-f]{32}$/.test(keyId) ? keyId : 'an unnamed key'));
  const known = trusted.value.publishers.keys.map(({ keyId }) => keyId);
  return [`it claims signatures of ${claimed.join(', ') || 'nobody'}, and the publishers are ${known.join(', ')}`];
}

function verifyContent(manifest: SignedManifest, parts: BundleFiles['parts'], done: readonly Step[]): readonly Step[] {
  const verified = acceptParts(manifest, parts);
  const matched = passed('digests', `${counted(PART_NAMES.length, 'part')}, each as signed`);
  const understood = passed('features', manifest.payload.features.join(', ') || 'none needed');
  if (!verified.ok) {
    const step = STEP_OF[verified.error.code];
    const before = step === 'area' ? [matched, understood] : step === 'features' ? [matched] : [];
    return failedAt(verified.error, [...done, ...before], step === 'size' ? 'digests' : step);
  }
  return verifyPolicy(verified.value, [...done, matched, understood, passed('area', `good for ${manifest.context.receiver.area}`)]);
}

function verifyPolicy(bundle: VerifiedBundle, done: readonly Step[]): readonly Step[] {
  const bytes = Object.fromEntries(PART_NAMES.map((name) => [name, bundle.part(name)])) as Record<PartName, Uint8Array>;
  const read = readParts(bytes);
  const compiled = read.ok ? compile(read.value) : read;
  if (!compiled.ok) return failed('compile', compiled.error.map(({ path, message }) => `${path}: ${message}`).join('; '), done);
  const report = runTests(compiled.value);
  const tests = `${report.passed} passed, ${report.failed} failed`;
  const compiledStep = passed('compile', counted(compiled.value.ruleCount, 'rule'));
  return report.failed > 0 ? failed('tests', tests, [...done, compiledStep]) : [...done, compiledStep, passed('tests', tests)];
}

function passed(step: StepName, detail: string): Step {
  return { step, result: 'ok', detail };
}

function failedAt({ code, detail, problems }: Rejection, done: readonly Step[], step: StepName = STEP_OF[code]): readonly Step[] {
  // Of the first steps nothing more is known than that they passed: one refusal names one step.
  const before = STEPS.slice(0, STEPS.indexOf(step)).map((name) => done.find((one) => one.step === name) ?? passed(name, ''));
  const places = problems.map(({ path, message }) => `${path}: ${message}`);
  return failed(step, [`${code}: ${detail}`, ...places].join('; '), before);
}

function failed(step: StepName, detail: string, done: readonly Step[]): readonly Step[] {
  const rest = STEPS.slice(STEPS.indexOf(step) + 1);
  return [...done, { step, result: 'failed', detail }, ...rest.map((name): Step => ({ step: name, result: 'not reached', detail: '' }))];
}
