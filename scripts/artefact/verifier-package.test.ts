import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ROOT } from './bundles.ts';
import { stageVerifier } from './verifier-package.ts';

/** A tool owner's folder, far from this clone. */
let dir: string;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'sallyport-verifier-'));
  await stageVerifier(join(dir, 'node_modules', '@sallyport', 'verifier'));
  mkdirSync(join(dir, 'node_modules', '@types'), { recursive: true });
  for (const name of ['@types/node', 'undici-types']) symlinkSync(join(ROOT, 'node_modules', name), join(dir, 'node_modules', name));
  writeFileSync(join(dir, 'package.json'), '{"private": true, "type": "module"}\n');
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

it('the package needs nothing but Node', () => {
  const folder = join(dir, 'node_modules', '@sallyport', 'verifier');
  const text = readFileSync(join(folder, 'lib', 'index.mjs'), 'utf8');
  const imported = [...text.matchAll(/(?:from|import|require)\s*\(?\s*"([^"]+)"/g)].map(([, name = '']) => name);
  expect(imported.length).toBeGreaterThan(0);
  expect(imported.filter((name) => !isBuiltin(name))).toEqual([]);
  expect(JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))).not.toHaveProperty('dependencies');
});

it('installed alone, it answers the published vectors as this clone does', () => {
  cpSync(join(ROOT, 'test', 'vectors', 'assertions', 'assertions.json'), join(dir, 'assertions.json'));
  writeFileSync(
    join(dir, 'run.mjs'),
    `import { verifyAssertion } from '@sallyport/verifier';
     import { readFileSync } from 'node:fs';
     const { trust_domain: trustDomain, authorities, audience, tool, vectors } = JSON.parse(readFileSync('assertions.json', 'utf8'));
     for (const { name, token, now, expect, hops_max: hopsMax = 0, ...over } of vectors) {
       const verified = verifyAssertion(token, { trustDomain, authorities, audience, tool, hopsMax, ...over, now: Date.parse(now) });
       const said = verified.ok ? 'believed' : verified.code;
       if (said !== expect) throw new Error(name + ': ' + said + ', not ' + expect);
     }
     process.stdout.write(String(vectors.length));`,
  );
  expect(Number(execFileSync(process.execPath, ['run.mjs'], { cwd: dir, encoding: 'utf8' }))).toBeGreaterThan(30);
});

it('a strict TypeScript project compiles against its declarations', () => {
  writeFileSync(
    join(dir, 'tool.ts'),
    `import { assertionGuard, verifyAssertion, type Assertion, type AssertionFailure } from '@sallyport/verifier';
     import { createServer } from 'node:http';
     const options = { trustDomain: 'a.example', authorities: 'PEM', audience: 'b' };
     const guard = assertionGuard({ ...options, tool: ({ url }) => url });
     createServer((request, response) => {
       const assertion: Assertion | undefined = guard(request, response);
       if (assertion !== undefined) response.end(assertion.operator.toUpperCase() + String(assertion.expiresAt + 1));
     });
     const verified = verifyAssertion('x', { ...options, tool: 'b/c' });
     const code: AssertionFailure | '' = verified.ok ? '' : verified.code;
     // @ts-expect-error the tool is never forgotten by accident
     verifyAssertion(code, options);`,
  );
  const strict = {
    module: 'nodenext',
    target: 'es2024',
    strict: true,
    noEmit: true,
    types: ['node'],
    skipLibCheck: false,
    exactOptionalPropertyTypes: true,
  };
  writeFileSync(join(dir, 'tsconfig.json'), JSON.stringify({ compilerOptions: { ...strict, lib: ['es2024'] }, files: ['tool.ts'] }));
  const said = ((): string => {
    try {
      return execFileSync(join(ROOT, 'node_modules', '.bin', 'tsc'), ['-p', '.'], { cwd: dir, encoding: 'utf8' });
    } catch (thrown) {
      return (thrown as { stdout: string }).stdout;
    }
  })();
  expect(said.split('\n').filter((line) => line !== '' && !line.includes('@types/node') && !line.includes('undici-types'))).toEqual([]);
});
