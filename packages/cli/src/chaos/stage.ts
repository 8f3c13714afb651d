/** Stages attacks one after another, each at a sidecar of its own, and leaves nothing running, however it ends. */

import { createSteps } from '../demo/steps.ts';
import type { Step, Steps } from '../demo/steps.ts';
import { errorText } from '../failure.ts';
import type { Io } from '../io.ts';
import type { Attack } from './attack.ts';
import { layGround } from './ground.ts';
import type { Ground } from './ground.ts';

/** What came of an attack. */
export interface Staged {
  readonly attack: Attack;
  /** `unproven` where it did not come to be staged: that is no success either. */
  readonly verdict: 'held' | 'BROKEN' | 'unproven';
  readonly steps: readonly Step[];
  /** Why it is unproven. */
  readonly why: string;
  readonly tookMs: number;
}

export interface StageOptions {
  readonly io: Io;
  readonly isVerbose: boolean;
  readonly onBegin: (attack: Attack) => void;
  readonly onEnd: (staged: Staged) => void;
}

/** Two are the least that a development root may say; the third is for a machine that does other work too. */
const TTL_MS = { short: 3_000, long: 60_000 } as const;

/**
 * What came of each, in the order given. Never rejects: what goes wrong is an attack that is unproven. Those that wait for
 * an end of freshness and those that do not go on beside each other, each kind at a ground of its own. Begins no further
 * attack once Ctrl-C has come.
 */
export async function stageAttacks(attacks: readonly Attack[], options: StageOptions): Promise<readonly Staged[]> {
  const staged = new Map<Attack, Staged>();
  const lane = async (ttl: Attack['ttl']): Promise<void> => {
    const plot = newPlot(ttl, options);
    try {
      for (const attack of attacks.filter((one) => one.ttl === ttl)) {
        if (options.io.signal.aborted) return;
        options.onBegin(attack);
        const one = await stageOne(attack, plot, options);
        staged.set(attack, one);
        options.onEnd(one);
      }
    } finally {
      await plot.close();
    }
  };
  await Promise.all([lane('short'), lane('long')]);
  return attacks.flatMap((attack) => staged.get(attack) ?? []);
}

/** A ground that is laid when it is first needed; where that fails, it is tried again. */
interface Plot {
  ground(): Promise<Ground>;
  close(): Promise<void>;
}

function newPlot(ttl: Attack['ttl'], { io }: StageOptions): Plot {
  // Owner: one lane.
  let laid: Ground | undefined;
  return {
    ground: async () => (laid ??= await layGround({ io, ttlMs: TTL_MS[ttl] })),
    close: async () => laid?.close(),
  };
}

async function stageOne(attack: Attack, plot: Plot, { io, isVerbose }: StageOptions): Promise<Staged> {
  const began = io.clock.boot();
  const steps = createSteps({ onStep: () => undefined });
  let why = '';
  try {
    const ground = await plot.ground();
    const subject = await ground.startSubject(attack.name);
    try {
      await attack.stage({ ground, subject, steps, io });
    } finally {
      await subject.close();
    }
  } catch (error) {
    why = errorText(error, isVerbose);
  }
  return { attack, verdict: verdictOf(steps, why), steps: steps.all, why, tookMs: Math.round(io.clock.boot() - began) };
}

/** A promise that was seen to break outweighs a fault after it; without a single step nothing was proven. */
export function verdictOf({ all, failed }: Pick<Steps, 'all' | 'failed'>, why: string): Staged['verdict'] {
  if (failed.length > 0) return 'BROKEN';
  return why !== '' || all.length === 0 ? 'unproven' : 'held';
}
