/** Part of the composition root: the watched folder beside the stream, where the configuration names one. */

import type { Area, Clock, Ring } from '@sallyport/model';
import type { Drain, FileSystem } from '@sallyport/runtime';
import type { Log } from '@sallyport/telemetry';
import { join } from 'node:path';
import type { Activator } from './bundle/activator.ts';
import { followDirectory } from './bundle/directory-source.ts';
import type { SidecarConfig } from './config.ts';

export interface WatchOptions {
  readonly config: SidecarConfig;
  readonly activator: Activator;
  readonly clock: Clock;
  readonly disk: FileSystem;
  readonly log: Log;
  readonly drain: Drain;
}

/** Starts to look at it; the drain ends that. */
export function watchDirectory({ config, activator, clock, disk, log, drain }: WatchOptions): void {
  const { policy, area, ring, state_dir: state } = config;
  if (policy === undefined) return;
  const challengeFile = join(state, 'bundle', 'challenge');
  const looking = followDirectory(
    {
      directory: policy.directory,
      lookMs: policy.look_ms,
      challengeFile,
      place: { area: area as Area, ring: ring as Ring },
      activator,
      clock,
      disk,
      onProblem: (detail) => log.warn('policy_directory', { detail }),
      onAsked: () => log.info('challenge_written', { detail: `\`${challengeFile}\` asks for a live proof: \`sallyport bundle prove\`` }),
    },
    { signal: drain.draining },
  );
  drain.track('policy directory', looking);
}
