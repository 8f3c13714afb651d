/** The one place that reads the process's environment; `main.ts` passes it on to `readConfig`. */

/** A copy of the environment as it is now. */
export function processEnvironment(): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(process.env).filter((entry): entry is [string, string] => entry[1] !== undefined));
}
