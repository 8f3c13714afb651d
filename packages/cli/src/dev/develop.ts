/** One `dev`, told in order: a policy that holds, a control plane, a sidecar, a way in; then the command, and what happens. */

import { join } from 'node:path';
import { Fault, fail, formatProblem, ok } from '@sallyport/model';
import type { Area, Result, Ring } from '@sallyport/model';
import { errorText } from '../failure.ts';
import { at, writeFile } from '../files.ts';
import type { Io } from '../io.ts';
import { counted, refusal } from '../output.ts';
import type { Refusal } from '../output.ts';
import { agentOf } from '../policy/explain-call.ts';
import { startCommand } from './child.ts';
import type { RunningCommand } from './child.ts';
import { connectionText } from './connection.ts';
import { doorKey, openDoor } from './door.ts';
import type { Door } from './door.ts';
import { republish, showDecisions } from './live.ts';
import type { DevelopOptions, Prepared, Stack } from './live.ts';
import { openLogFile } from './log-file.ts';
import { makeDevKey, operatorOf, unknownRoles } from './operator.ts';
import { createPublisher } from './publisher.ts';
import { reporter, tellPolicy, tellReady } from './reporter.ts';
import type { Reporter } from './reporter.ts';
import { devSession } from './session.ts';
import type { DevSession, Opened } from './session.ts';
import { startControlPlane, startSidecar } from './stack.ts';
import type { DevSidecar } from './stack.ts';
import { takeStateFolder } from './state-folder.ts';
import type { StateFolder } from './state-folder.ts';
import { shellText, variablesOf, waysIn } from './ways-in.ts';
import type { WaysIn } from './ways-in.ts';

const PLACE = { area: 'default' as Area, ring: 'default' as Ring } as const;

/** What has to be ended, oldest first. */
type Endings = (() => Promise<void> | void)[];

/** Runs to its end; the exit code is the command's, or 0 where there is none and Ctrl-C ended it. */
export async function develop(options: DevelopOptions, argv: readonly string[], io: Io): Promise<Result<number, Refusal>> {
  const prepared = prepare(options, io);
  if (!prepared.ok) return prepared;
  const folder = takeStateFolder(at(io.cwd, options.state));
  if (!folder.ok) return fail({ exit: 1, problems: [folder.error] });
  const endings: Endings = [() => folder.value.close()];
  try {
    const stack = await startStack(prepared.value, folder.value, endings);
    if (!stack.ok) return stack;
    const opened = await openWays(prepared.value, stack.value, { folder: folder.value, endings });
    if (!opened.ok) return opened;
    tellReady(prepared.value, { ...opened.value, adminSocket: folder.value.adminSocket, isAlone: argv.length === 0 });
    return await runUntilOver(prepared.value, stack.value, { folder: folder.value, argv, variables: opened.value.variables });
  } finally {
    // The sidecar before the control plane: what it still holds of the record goes there.
    for (const end of endings.toReversed()) await end();
  }
}

/** Judges everything that can be judged before anything is started. */
function prepare(options: DevelopOptions, io: Io): Result<Prepared, Refusal> {
  const key = makeDevKey();
  const publisher = createPublisher({ policyDir: options.policy, place: PLACE, amend: key.amend, io });
  const tested = publisher.read();
  if (!tested.ok) return fail(nothingStarted(tested.error));
  const agent = agentOf(tested.value.built, options.agent);
  if (!agent.ok) return fail({ exit: 2, problems: [agent.error] });
  const operator = operatorOf(tested.value.built, { ...options, agent: agent.value }, { key, random: io.random });
  if (!operator.ok) return fail({ exit: 2, problems: operator.error });
  const now = { tested: tested.value, operator: operator.value, releaseSeq: 0 };
  const to = reporter(io, options.json);
  for (const problem of unknownRoles(tested.value.built, { agent: agent.value, role: options.role }))
    to.note(`dev: ${formatProblem(problem)}`);
  return ok({ options, io, to, key, publisher, agent: agent.value, now });
}

/** Whoever sees only the end of a long list has to know that no sidecar runs. */
function nothingStarted(refused: Refusal): Refusal {
  const count = refused.problems.filter(({ severity }) => severity === undefined).length;
  const end = { path: '', message: `${counted(count, 'problem')} in the policy; nothing was started` };
  return { ...refused, problems: [...refused.problems, end] };
}

/** From nothing to a sidecar that enforces the policy. */
async function startStack(prepared: Prepared, { dir, adminSocket }: StateFolder, endings: Endings): Promise<Result<Stack, Refusal>> {
  const { io, to, publisher, agent, now } = prepared;
  const begun = io.clock.boot();
  const log = openLogFile(join(dir, 'log'), io.clock);
  endings.push(() => log.close());
  const controlPlane = await startControlPlane({ dir, io, log });
  if (!controlPlane.ok) return controlPlane;
  endings.push(async () => controlPlane.value.drain());
  const published = await publisher.publish(now.tested, controlPlane.value.link);
  if (!published.ok) return published;
  now.releaseSeq = published.value === 'unchanged' ? 0 : published.value.releaseSeq;
  const sidecar = await startSidecar({ dir, io, log, controlPlane: controlPlane.value, agent, place: PLACE, adminSocket });
  if (!sidecar.ok) return sidecar;
  endings.push(async () => sidecar.value.drain());
  if (!(await sidecar.value.enforces(now.releaseSeq))) {
    if (io.signal.aborted) return fail(refusal(130, 'stopped'));
    return fail(refusal(1, `the sidecar enforces nothing: ${sidecar.value.obstacle()}`, `its words are in ${log.path}`));
  }
  tellPolicy(to, now.tested, { releaseSeq: now.releaseSeq, tookMs: Math.round(io.clock.boot() - begun) });
  return ok({ controlPlane: controlPlane.value, sidecar: sidecar.value });
}

interface Opening {
  readonly folder: StateFolder;
  readonly endings: Endings;
}

interface OpenWays {
  readonly ways: WaysIn;
  readonly session: Opened;
  readonly variables: Readonly<Record<string, string>>;
}

/** A session, the door that holds it, and what other commands and shells find of both. */
async function openWays(prepared: Prepared, { sidecar }: Stack, { folder, endings }: Opening): Promise<Result<OpenWays, Refusal>> {
  const { options, io, to, now } = prepared;
  // Owner: this function. Known once the door is open, which is before any session is.
  let ways: WaysIn | undefined;
  const session = devSession({
    port: sidecar.port,
    operator: () => now.operator,
    io,
    onOpened(opened, isFirst) {
      if (ways !== undefined) leave(join(folder.dir, 'env'), shellText(variablesOf(ways, opened.token)));
      // Sessions are short, and remember: whoever relies on an order of calls has to know of a new one.
      const lines = isFirst ? [] : [`session: a new one, ${opened.id}; what the last one had seen is forgotten`];
      to.tell('session', { session_id: opened.id, operator: now.operator.subject }, lines);
    },
  });
  try {
    const door = await doorOf(prepared, { sidecar, session, key: doorKey(join(folder.dir, 'url-key'), io.random) });
    endings.push(async () => door.drain());
    ways = waysIn(now.tested.built, { url: door.url, sidecarUrl: `http://127.0.0.1:${sidecar.port}` });
    const opened = await session.current();
    const connection = { pid: process.pid, adminSocket: folder.adminSocket, policyDir: at(io.cwd, options.policy) };
    leave(folder.connectionFile, connectionText(connection));
    return ok({ ways, session: opened, variables: variablesOf(ways, opened.token) });
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    const remedy = error.code === 'listen_failed' ? 'choose another with --port, or none for any that is free' : undefined;
    return fail(refusal(1, error.message, remedy));
  }
}

function doorOf(
  { options, io, to }: Prepared,
  { sidecar, session, key }: { readonly sidecar: DevSidecar; readonly session: DevSession; readonly key: string },
): Promise<Door> {
  return openDoor({
    port: options.port ?? 0,
    sidecarPort: sidecar.port,
    key,
    session,
    clock: io.clock,
    onFailure: (error) => to.note(`dev: ${error instanceof Error ? error.message : String(error)}`),
  });
}

/** For others to find while this runs; without it they have to be told. */
function leave(file: string, text: string): void {
  const written = writeFile(file, text, { mode: 0o600, as: 'replacement' });
  if (!written.ok) throw new Fault('store_failed', 'internal', `\`${file}\` ${written.error.message}`);
}

interface Around {
  readonly folder: StateFolder;
  readonly argv: readonly string[];
  readonly variables: Readonly<Record<string, string>>;
}

async function runUntilOver(prepared: Prepared, stack: Stack, around: Around): Promise<Result<number, Refusal>> {
  const over = new AbortController();
  const { to } = prepared;
  const loops = Promise.all([
    guarded('showing decisions', showDecisions(prepared, around.folder.adminSocket, over.signal), to),
    guarded('watching the policy', republish(prepared, stack, over.signal), to),
  ]);
  try {
    return await commandOrStop(prepared, stack, around);
  } finally {
    over.abort();
    await loops;
  }
}

/** What goes on beside the command does not end it when it fails; whoever relies on it has to know. */
async function guarded(what: string, task: Promise<void>, to: Reporter): Promise<void> {
  try {
    await task;
  } catch (error) {
    to.tell('failed', { what, message: errorText(error, false) }, [`dev: ${what} has ended: ${errorText(error, false)}`]);
  }
}

/** Until the command has ended, Ctrl-C has been pressed, or the control plane cannot go on. */
async function commandOrStop(
  { io, options, to }: Prepared,
  { controlPlane }: Stack,
  { argv, variables }: Around,
): Promise<Result<number, Refusal>> {
  const [file, ...args] = argv;
  let command: RunningCommand | undefined;
  if (file !== undefined) {
    const env = { ...io.env, ...variables };
    const started = await startCommand({ argv: [file, ...args], env, cwd: io.cwd, keepsOutput: options.json, clock: io.clock });
    // The exit code is the shell's for a command that cannot be run; the type knows our own alone.
    if (!started.ok) return fail({ exit: started.error.exit as Refusal['exit'], problems: [started.error.problem] });
    command = started.value;
    to.tell('command', { pid: command.pid, argv }, []);
  }
  const why = await Promise.race([aborted(io.signal), controlPlane.failed, ...(command === undefined ? [] : [command.ended])]);
  const exit = command === undefined ? 0 : await command.stop();
  if (command !== undefined) to.tell('command', { pid: command.pid, exit }, exit === 0 ? [] : [`dev: the command ended with ${exit}`]);
  return why instanceof Fault ? fail(refusal(1, `the control plane cannot go on: ${why.message}`)) : ok(exit);
}

function aborted(signal: AbortSignal): Promise<'stopped'> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve('stopped');
    signal.addEventListener('abort', () => resolve('stopped'), { once: true });
  });
}
