/** `sallyport policy schema`: the JSON Schema of policy documents, for editors. */

import { policySchema } from '@sallyport/policy/editor';
import { command } from '../command.ts';
import type { Command } from '../command.ts';

export const policySchemaCommand: Command = command({
  name: 'policy schema',
  group: 'Policy',
  summary: 'print the JSON Schema of policy documents, for editors',
  details: [
    'JSON Schema (2020-12) with descriptions, examples and snippets; one for all kinds of documents. VS Code with the YAML extension takes it from `yaml.schemas` in its settings, or from the line `# yaml-language-server: $schema=policy.schema.json` in each document. It is advice while writing; `policy check` is what counts. Every field in words: docs/reference/policy.md.',
  ],
  options: {},
  examples: [{ line: 'policy schema > policy.schema.json', says: 'beside the policy, for the editors of everyone' }],
  async run({ out }) {
    const schema = policySchema();
    await out.answer(schema, JSON.stringify(schema, undefined, 2));
    return 0;
  },
});
