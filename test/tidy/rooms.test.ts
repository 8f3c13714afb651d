/** A room that imports one above it is found. */

import { expect, test } from 'vitest';
import { checkRooms } from './rooms.ts';

const findings = (path: string, text: string): readonly string[] =>
  checkRooms([{ path: `packages/policy/src/${path}`, text }]).map(({ what }) => what);

test.each([
  ['reader/yaml.ts', "import { decide } from '../decide/decide.ts';", 'reader imports decide'],
  ['compile/compile.ts', "import type { PolicyDecision } from '../decide/decide.ts';", 'compile imports decide'],
  ['decide/decide.ts', "export { explain } from '../explain/explain.ts';", 'decide imports explain'],
  ['rule.ts', "import { LIMITS } from './reader/limits.ts';", 'src imports reader'],
  ['grammar/rule.ts', "import {\n  compile,\n} from '../compile/compile.ts';", 'grammar imports compile'],
  ['attic/a.ts', '', 'room attic of policy is not in the table'],
])('up the stairs, %s: %s', (path, text, what) => {
  expect(findings(path, text)).toEqual([what]);
});

test.each([
  ['decide/decide.ts', "import { LIMITS } from '../reader/limits.ts';"],
  ['decide/decide.ts', "import { Call } from './requirements.ts';"],
  ['decide/decide.ts', "import type { Rule } from '../rule.ts';"],
  ['decide/decide.test.ts', "import { explain } from '../explain/explain.ts';"],
  ['testing/policies.ts', "import { compile } from '../compile/compile.ts';"],
  ['index.ts', "export { explain } from './explain/explain.ts';"],
])('permitted, %s: %s', (path, text) => {
  expect(findings(path, text)).toEqual([]);
});
