/** The `sallyport` command, as a function and as a description of itself. */

export { run } from './run.ts';
export type { Exit, Io } from './io.ts';
export { COMMANDS } from './commands.ts';
export { describeCommands } from './reference.ts';
export type { Argument, Command, Example, Group } from './command.ts';
