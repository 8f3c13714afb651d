/**
 * How often jobs have opened sessions of late, so that a schedule that runs wild opens no more than its bundle says. In
 * memory alone: a start of the sidecar ends every session and counts anew.
 */

import type { AgentJob, BootMs, Clock } from '@sallyport/model';
import type { JobStarts } from '../pipeline/ports.ts';

/** One for each sidecar. What it holds is bounded by the jobs of a bundle and their `max.count`. */
export function jobStarts(clock: Clock): JobStarts {
  // Owner: this object. By the name of the job, when it started, oldest first; no older than its span.
  const starts = new Map<string, BootMs[]>();
  const recent = ({ name, max }: AgentJob): BootMs[] => {
    const now = clock.boot();
    const kept = (starts.get(name) ?? []).filter((at) => now - at < max.withinMs);
    if (kept.length === 0) starts.delete(name);
    else starts.set(name, kept);
    return kept;
  };
  return {
    mayStart: (job) => recent(job).length < job.max.count,
    start(job) {
      const kept = recent(job);
      if (kept.length >= job.max.count) return false;
      starts.set(job.name, [...kept, clock.boot()]);
      return true;
    },
  };
}
