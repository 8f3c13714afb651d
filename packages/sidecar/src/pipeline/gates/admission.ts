/** Turns requests away before any work when the sidecar is leaving or full. Looks at nothing that the caller sent. */

import { deny } from '@sallyport/model';
import type { Arrival } from '../facts.ts';
import { pass, refuse, type Gate, type Judgement } from '../gate.ts';
import type { Ports } from '../ports.ts';

interface Gathered {
  readonly isDraining: boolean;
  readonly bytesInFlight: number;
  readonly bytesInFlightMax: number;
}

export const admission: Gate<Arrival, Gathered, object, Ports> = {
  name: 'admission',
  dialects: { 'http-tool': 'runs', mcp: 'runs', agent: 'runs', session: 'runs' },
  gather: (_, { load, bytesInFlight }) => ({
    isDraining: load.isDraining(),
    bytesInFlight: bytesInFlight.inFlight,
    bytesInFlightMax: bytesInFlight.max,
  }),
  decide: decideAdmission,
};

const RETRY_AFTER_MS = 1_000;

/** Refuses with `overloaded` while draining or with the account of buffered bytes full; connections are the listener's to cap. */
export function decideAdmission(load: Gathered): Judgement<object> {
  const why = load.isDraining
    ? 'draining'
    : load.bytesInFlight >= load.bytesInFlightMax
      ? `${load.bytesInFlight} bytes in flight, ${load.bytesInFlightMax} allowed`
      : undefined;
  return why === undefined ? pass({}) : refuse(deny('overloaded', why, { retryAfterMs: RETRY_AFTER_MS }));
}
