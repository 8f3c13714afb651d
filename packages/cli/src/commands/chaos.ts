/** `sallyport chaos …`: attacks on an installation of its own, staged for real, to see that it fails closed. */

import { nearest } from '@sallyport/model';
import type { JsonObject } from '@sallyport/model';
import { ATTACKS } from '../chaos/attacks/all.ts';
import type { Attack } from '../chaos/attack.ts';
import type { Staged } from '../chaos/stage.ts';
import { command } from '../command.ts';
import type { Command } from '../command.ts';
import { refusal, table } from '../output.ts';

export const chaosList: Command = command({
  name: 'chaos list',
  group: 'Evidence',
  summary: 'the attacks that can be staged, and what each leaves an attacker',
  options: {},
  examples: [{ line: 'chaos list', says: 'names for `chaos run`' }],
  async run({ out }) {
    await out.answer(
      { attacks: ATTACKS.map(({ name, does, leaves }) => ({ attack: name, does, leaves })) },
      table(ATTACKS.map(({ name, does }) => [name, does])),
    );
    return 0;
  },
});

export const chaosRun: Command = command({
  name: 'chaos run',
  group: 'Evidence',
  summary: 'attack an installation made for it, and see that it fails closed',
  details: [
    'Makes a development root in a temporary folder, starts a control plane of this very build on free ports of 127.0.0.1, and for each attack a sidecar process of its own; stages the attack for real, and judges by what the sidecar answers and what reaches the tool. It cannot be pointed at an installation that exists.',
    'Exits with 0 only if every attack was staged and held off; with 1 where one was not, and says which promise it broke.',
  ],
  arguments: [{ name: 'ATTACK', says: 'which attacks; all of them unless named', isOptional: true, isRest: true }],
  options: {},
  examples: [
    { line: 'chaos run', says: 'all of them, in about a minute' },
    { line: 'chaos run rollback freeze', says: 'these two' },
    { line: 'chaos run --json', says: 'for CI: one document, exit 1 where a defence is broken' },
  ],
  async run({ arguments: names, options, io, out }) {
    const unknown = names.find((name) => !ATTACKS.some((one) => one.name === name));
    if (unknown !== undefined) {
      const near = nearest(
        unknown,
        ATTACKS.map(({ name }) => name),
      );
      const remedy = near === undefined ? 'see `sallyport chaos list`' : `did you mean ${near}? See \`sallyport chaos list\``;
      return out.refuse(refusal(2, `\`${unknown}\` is no attack`, remedy));
    }
    const chosen = names.length === 0 ? ATTACKS : ATTACKS.filter(({ name }) => names.includes(name));
    const begun = io.clock.boot();
    const { stageAttacks } = await import('../chaos/stage.ts');
    const staged = await stageAttacks(chosen, {
      io,
      isVerbose: options.verbose,
      onBegin: ({ name, does }) => out.isJson || io.note(io.isTerminal ? `${name}: ${does} …\n` : ''),
      onEnd: (one) => out.isJson || io.note(`${lineOf(one)}\n`),
    });
    const held = staged.filter(({ verdict }) => verdict === 'held').length;
    await out.answer(
      { held, of: chosen.length, took_ms: Math.round(io.clock.boot() - begun), attacks: staged.map(stagedJson) },
      [report(staged), '', closing(held, chosen, io.clock.boot() - begun)].join('\n'),
    );
    if (held === chosen.length) return 0;
    return io.signal.aborted ? 130 : 1;
  },
});

function lineOf({ attack, verdict, tookMs }: Staged): string {
  return `${verdict.padEnd(8)}  ${attack.name.padEnd(NAME_WIDTH)}  ${(tookMs / 1_000).toFixed(1).padStart(5)} s`;
}

const NAME_WIDTH = Math.max(...ATTACKS.map(({ name }) => name.length));

/** For each attack what was done, what the sidecar did, and what of it was not as promised. */
function report(staged: readonly Staged[]): string {
  return staged
    .map((one) => {
      const { attack, steps, why } = one;
      const said = steps.map(({ name, expected, seen }) =>
        expected === seen ? `  ok      ${name}: ${seen}` : `  BROKEN  ${name}: ${seen}\n          promised: ${expected}`,
      );
      return [
        lineOf(one),
        `  did     ${attack.does}`,
        ...said,
        ...(why === '' ? [] : [`  failed  ${why}`]),
        `  leaves  ${attack.leaves}`,
      ].join('\n');
    })
    .join('\n\n');
}

function closing(held: number, chosen: readonly Attack[], tookMs: number): string {
  return `${held} of ${chosen.length} attacks held off in ${(tookMs / 1_000).toFixed(1)} s`;
}

function stagedJson({ attack, verdict, steps, why, tookMs }: Staged): JsonObject {
  return {
    attack: attack.name,
    did: attack.does,
    verdict: verdict.toLowerCase(),
    steps: steps.map(({ name, expected, seen }) => ({ name, expected, seen })),
    leaves: attack.leaves,
    why: why === '' ? null : why,
    took_ms: tookMs,
  };
}
