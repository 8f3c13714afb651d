import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { encodeBase64Url } from '@sallyport/crypto';
import { systemClock, systemRandom } from '@sallyport/runtime';
import { describe, expect, it } from 'vitest';
import { expenseStory } from '../../../packages/cli/src/demo/expenses/story.ts';
import { startExpenseTools } from '../../../packages/cli/src/demo/expenses/tools.ts';
import type { ExpenseTools, ServerName } from '../../../packages/cli/src/demo/expenses/tools.ts';
import { play } from '../../../packages/cli/src/demo/play.ts';
import type { Played } from '../../../packages/cli/src/demo/play.ts';
import { createScreen } from '../../../packages/cli/src/demo/screen.ts';
import type { Stage } from '../../../packages/cli/src/demo/stage.ts';
import { createSteps } from '../../../packages/cli/src/demo/steps.ts';
import type { TakenStep } from '../../../packages/cli/src/demo/steps.ts';
import type { Story } from '../../../packages/cli/src/demo/telling.ts';
import type { Received } from '../../../packages/cli/src/demo/tool-server.ts';

/** Plays until the first step that does not hold; what comes after it is not the point. */
async function playToFirstFailure(story: Story, ports?: readonly number[]): Promise<Played & { readonly failed: readonly TakenStep[] }> {
  const stop = new AbortController();
  const io = {
    write: async () => undefined,
    note: () => undefined,
    env: {},
    cwd: '/',
    signal: stop.signal,
    clock: systemClock(),
    random: systemRandom,
    isTerminal: false,
  };
  const steps = createSteps({ onStep: (_, { isHeld }) => void (isHeld || stop.abort()) });
  const screen = createScreen(io, { isSilent: true, isPausing: false, acts: story.acts });
  const played = await play(story, { io, steps, screen, isVerbose: false, isKept: false, ...(ports === undefined ? {} : { ports }) });
  return { ...played, failed: steps.failed };
}

/** The tools, one of which keeps another log than what it was asked. */
function toolsWithLog(name: ServerName, calls: (real: readonly Received[]) => readonly Received[]): () => Promise<ExpenseTools> {
  return async () => {
    const tools = await startExpenseTools();
    const { url, close, calls: real } = tools[name];
    const liar = {
      url,
      close,
      get calls() {
        return calls(real);
      },
    };
    return { ...tools, [name]: liar };
  };
}

/** The story under a policy in which this was changed, its tests included: then nothing but the calls can tell. */
function storyWith(changes: Readonly<Record<string, readonly [from: string, to: string]>>): Story {
  const story = expenseStory();
  return {
    ...story,
    async open(io) {
      const open = await story.open(io);
      return {
        ...open,
        prepare(policyDir) {
          for (const [name, [from, to]] of Object.entries(changes)) {
            const path = join(policyDir, name);
            writeFileSync(path, readFileSync(path, 'utf8').replaceAll(from, to));
          }
        },
      };
    },
  };
}

/** The story, with every operator's token that is signed in it written down. */
function overheard(story: Story, tokens: string[]): Story {
  return {
    ...story,
    async open(io) {
      const open = await story.open(io);
      const listening = ({ issuer }: Stage): PropertyDescriptorMap => {
        const sign = (bytes: Uint8Array): Uint8Array => {
          const signature = issuer.signer.sign(bytes);
          tokens.push(`${Buffer.from(bytes).toString('utf8')}.${encodeBase64Url(signature)}`);
          return signature;
        };
        return { issuer: { value: { ...issuer, signer: { ...issuer.signer, sign } } } };
      };
      return {
        ...open,
        // The stage's getters stay alive behind the one thing that is different.
        tell: (telling) => open.tell({ ...telling, stage: Object.create(telling.stage, listening(telling.stage)) as Stage }),
      };
    },
  };
}

describe('the demo fails', () => {
  it('where a tool got calls that it should not have got', async () => {
    const twice = toolsWithLog('employee-lookup', (real) => [...real, ...real]);
    const { isGood, failed } = await playToFirstFailure(expenseStory(twice));
    expect([isGood, failed[0]?.name]).toEqual([false, expect.stringContaining('look up her cost center')]);
    expect(failed[0]?.seen).toContain('tool got 2 calls');
  });

  it('where a tool did not get what was allowed', async () => {
    const never = toolsWithLog('accounting-api', () => []);
    const { failed } = await playToFirstFailure(expenseStory(never));
    expect(failed[0]?.name).toContain('file the report');
    expect(failed[0]?.seen).toContain('tool got 0 calls');
  });

  it('where a token of hers reaches a tool', async () => {
    const tokens: string[] = [];
    const leaky = toolsWithLog('notification-api', (real) => real.map((one) => ({ ...one, head: [...one.head, 'x-leak', ...tokens] })));
    const { failed } = await playToFirstFailure(overheard(expenseStory(leaky), tokens));
    expect(failed[0]).toMatchObject({ name: 'no tool has seen a token', seen: '1 of 5 requests carry one' });
  });

  it('where the policy allows what the story says it refuses', async () => {
    const { failed } = await playToFirstFailure(
      storyWith({
        'rules.yaml': ['- args.employee_id == principal.id\n\n', '- args.employee_id.contains("@")\n\n'],
        'tests.yaml': [
          'employee_id: bob@company.com }, expect: resource_binding_mismatch',
          'employee_id: bob@company.com }, expect: allow',
        ],
      }),
    );
    expect(failed[0]?.name).toContain("Bob's cost center instead of hers");
    expect(failed[0]?.seen).toMatch(/^200 ok, allow by own-cost-center \(rules\.yaml:[0-9]+\), tool got 1 call/);
  });

  it('where a port is taken, with the words of who could not start', async () => {
    const squatter = createServer();
    squatter.listen(0, '127.0.0.1');
    await once(squatter, 'listening');
    const { port } = squatter.address() as AddressInfo;
    const { isGood, failed } = await playToFirstFailure(expenseStory(), [port, 0, 0, 0]);
    squatter.close();
    expect(isGood).toBe(false);
    expect(failed[0]?.seen).toMatch(/^the control plane ended while starting: .*(EADDRINUSE|in use)/);
  });
});
