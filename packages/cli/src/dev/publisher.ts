/**
 * From the author's folder into force, as `policy publish` would do it: built, tested, signed, released, staged, active.
 * What does not hold goes nowhere, and the last one that held stays in force.
 */

import { fail, ok } from '@sallyport/model';
import type { AgentName, Result } from '@sallyport/model';
import { PART_NAMES } from '@sallyport/model';
import { digestOfPayload, signEnvelope } from '@sallyport/trust';
import { unsignedBundle } from '../bundle/manifest.ts';
import type { Link } from '../connect.ts';
import { signingKeyFile } from '../home.ts';
import type { Io } from '../io.ts';
import { loadSigners } from '../keys.ts';
import { createOutput, refusal } from '../output.ts';
import type { Refusal } from '../output.ts';
import type { Place } from '../places.ts';
import { readTestedPolicy } from '../policy/tested-policy.ts';
import type { TestedPolicy } from '../policy/tested-policy.ts';
import type { Amend } from '../policy/read-policy.ts';
import { readHeads } from '../publish/heads.ts';
import { submitBundle } from '../publish/submit-bundle.ts';
import { signRelease, submitRelease } from '../publish/submit-release.ts';

export interface Published {
  readonly tested: TestedPolicy;
  readonly releaseSeq: number;
}

export interface Publisher {
  /** Reads, builds and tests; nothing leaves. */
  read(): Result<TestedPolicy, Refusal>;
  /** Puts it in force; `unchanged` where the same bytes are. */
  publish(tested: TestedPolicy, link: Link): Promise<Result<Published | 'unchanged', Refusal>>;
}

export interface PublisherOptions {
  /** The folder as it was typed. */
  readonly policyDir: string;
  readonly place: Place;
  readonly amend: Amend;
  readonly io: Io;
}

export function createPublisher({ policyDir, place, amend, io }: PublisherOptions): Publisher {
  // Owner: this publisher. Of what was published last.
  let inForce = '';
  // What is uploaded and how is nobody's concern here.
  const out = { ...createOutput(io, { isJson: false, command: 'dev' }), progress: () => undefined };
  return {
    read: () => readTestedPolicy(policyDir, io, { amend }),
    async publish(tested, link) {
      const { built, report } = tested;
      const digests = PART_NAMES.map((name) => digestOfPayload(built.parts[name])).join();
      if (digests === inForce) return ok('unchanged');
      const signers = loadSigners([signingKeyFile(link.home, 'publisher'), signingKeyFile(link.home, 'release-1')], io);
      if (!signers.ok) return fail({ exit: 64, problems: signers.error });
      const [publisher, releaser] = signers.value;
      if (publisher === undefined || releaser === undefined) return fail(refusal(64, 'the development root lacks a key'));
      const heads = await readHeads(link, place, io);
      if (!heads.ok) return heads;
      const revision = heads.value.revision + 1;
      const previous = heads.value.bundle;
      const { manifest } = unsignedBundle(built, report, { area: place.area, revision, previous, commit: null });
      const envelope = await signEnvelope('Bundle', manifest, [publisher]);
      const submitted = await submitBundle(link, { envelope, parts: built.parts, dir: policyDir }, { io, out });
      if (!submitted.ok) return submitted;
      const release = await signRelease(
        {
          place,
          releaseSeq: heads.value.releaseSeq + 1,
          bundle: { digest: digestOfPayload(manifest), revision },
          freshnessTtlMsMax: link.trust.root.freshnessTtlMsMax,
          fallbacks: previous === null ? [] : [previous],
          now: io.clock.wall(),
        },
        [releaser],
      );
      const released = await submitRelease(link, release, { io, leaveBehind: false });
      if (!released.ok) return released;
      inForce = digests;
      return ok({ tested, releaseSeq: released.value.releaseSeq });
    },
  };
}

/** A policy that has lost the agent that runs is refused here: its sidecar would go dark, and say little about why. */
export function losesAgent({ built }: TestedPolicy, agent: AgentName, policyDir: string): Refusal | undefined {
  if (built.policy.agent(agent) !== undefined) return undefined;
  return {
    exit: 1,
    problems: [
      { path: 'Agent', file: policyDir, message: `agent \`${agent}\` is gone`, remedy: 'put it back, or start dev anew with --agent' },
    ],
  };
}
