/** SIGTERM and SIGINT: the first begins the drain, the second ends the process at once. */

/** The part of `process` that this needs. */
export interface SignalSource {
  on(event: 'SIGTERM' | 'SIGINT', listener: () => void): unknown;
  exit(code: number): void;
}

/** Exit code after a second signal: 128 + SIGINT, as a shell would say. */
const EXIT_CUT = 130;

/**
 * On the first signal calls `drain` and exits with the code it resolves to (1 when it rejects); on a second one exits
 * with 130 without waiting. Meant for `main.ts`, once.
 */
export function onTermination(drain: () => Promise<number>, source: SignalSource = process): void {
  // Owner: this handler.
  let isDraining = false;
  const begin = (): void => {
    if (isDraining) {
      source.exit(EXIT_CUT);
      return;
    }
    isDraining = true;
    void drain().then(
      (code) => source.exit(code),
      () => source.exit(1),
    );
  };
  source.on('SIGTERM', begin);
  source.on('SIGINT', begin);
}
