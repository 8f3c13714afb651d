/**
 * `npm run generate`: everything in the tree that is made from something else, made again. Running it twice changes
 * nothing; `npm run check` and CI hold the committed files to it.
 *
 *   packages/contract/src/gen   from proto/, by buf
 *   docs/reference              from the configuration schema of each app, the commands of the command line, and the table
 *                               of what policy documents may hold
 *   docs/performance.md         its tables, from the reports in docs/performance
 */

import { spawnSync } from 'node:child_process';
import { existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { writePerformancePage } from './performance.ts';

const ROOT = join(import.meta.dirname, '..');
const BIN = join(ROOT, 'node_modules', '.bin');
/** As buf.gen.yaml has it. */
const GENERATED = join('packages', 'contract', 'src', 'gen');
const REFERENCE = join(ROOT, 'docs', 'reference');

/** The apps with a configuration: where the schema stands, what it is called there, and how its page is titled. */
const SCHEMAS = [
  { app: 'control-plane', schema: 'CONTROL_PLANE_CONFIG', title: 'Configuration of the control plane' },
  { app: 'sidecar', schema: 'SIDECAR_CONFIG', title: 'Configuration of the sidecar' },
] as const;

/** Generated beside the tree and then brought over, so that a file whose service is gone goes too. */
function generateContract(): void {
  const scratch = mkdtempSync(join(tmpdir(), 'sallyport-generate-'));
  try {
    const buf = spawnSync(join(BIN, 'buf'), ['generate', '--output', join(scratch, 'proto')], {
      cwd: join(ROOT, 'proto'),
      stdio: ['ignore', 'inherit', 'inherit'],
      env: { ...process.env, PATH: [BIN, process.env['PATH']].join(delimiter) },
    });
    if (buf.status !== 0) throw new Error(`buf generate ended with ${buf.status ?? String(buf.error)}`);
    const made = join(scratch, GENERATED);
    const files = globSync('**/*_pb.ts', { cwd: made });
    for (const old of globSync('**/*_pb.ts', { cwd: join(ROOT, GENERATED) })) {
      if (!files.includes(old)) rmSync(join(ROOT, GENERATED, old));
    }
    for (const file of files) {
      mkdirSync(dirname(join(ROOT, GENERATED, file)), { recursive: true });
      writeFileSync(join(ROOT, GENERATED, file), readFileSync(join(made, file)));
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

async function generateReference(): Promise<void> {
  const { describeConfig } = await import('@sallyport/runtime');
  mkdirSync(REFERENCE, { recursive: true });
  for (const { app, schema, title } of SCHEMAS) {
    const source = join(ROOT, 'packages', app, 'src', 'config.ts');
    if (!existsSync(source)) continue;
    const exported = ((await import(source)) as Record<string, Parameters<typeof describeConfig>[0] | undefined>)[schema];
    if (exported === undefined) throw new Error(`${source} does not export ${schema}`);
    const { markdown, jsonSchema } = describeConfig(exported, { title });
    writeFileSync(join(REFERENCE, `${app}-config.md`), markdown);
    writeFileSync(join(REFERENCE, `${app}-config.schema.json`), `${JSON.stringify(jsonSchema, undefined, 2)}\n`);
  }
  const { describeCommands } = await import('@sallyport/cli');
  writeFileSync(join(REFERENCE, 'cli.md'), describeCommands());
  const { policyReference, policySchema } = await import('@sallyport/policy/editor');
  writeFileSync(join(REFERENCE, 'policy.md'), policyReference());
  writeFileSync(join(REFERENCE, 'policy.schema.json'), `${JSON.stringify(policySchema(), undefined, 2)}\n`);
}

generateContract();
await generateReference();
writePerformancePage();
