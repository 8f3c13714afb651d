import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

/** Every project runs from the sources, through the `sallyport-src` export condition; nothing needs a build first.
 * Without `import`, which is implied: named here it would count for `require` too, and give it a package's other form. */
const conditions = ['sallyport-src', 'node', 'default'];
const project = (name: string, include: string[], more: object = {}): object => ({
  ssr: { resolve: { conditions, externalConditions: conditions } },
  resolve: { conditions },
  // Long beside what anything takes alone: a machine that does other work too must not look like a defect.
  test: { name, include, environment: 'node', testTimeout: 120_000, hookTimeout: 120_000, expect: { poll: { timeout: 30_000 } }, ...more },
});

export default defineConfig({
  test: {
    // Vitest leaves a core to itself and uses little of it: of two cores, half would stand idle.
    maxWorkers: availableParallelism(),
    projects: [
      project('unit', ['packages/*/src/**/*.test.ts'], { exclude: ['**/*.prop.test.ts'] }),
      project('prop', ['packages/*/src/**/*.prop.test.ts']),
      project('vectors', ['test/vectors/**/*.test.ts']),
      project('exhaustive', ['test/exhaustive/**/*.test.ts']),
      project('faults', ['test/faults/**/*.test.ts']),
      project('integration', ['test/integration/**/*.test.ts']),
      project('tools', ['scripts/**/*.test.ts', 'test/*.test.ts']),
      project('tidy', ['test/tidy/**/*.test.ts']),
    ],
  },
});
