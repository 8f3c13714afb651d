/** The verifier's one sentence: what is proven, and whose clock is trusted. */

import type { Report } from './verify.ts';

/** Says it as it is: an unsound export proves nothing, and a sound one only what its signatures cover. */
export function summarise(facts: Omit<Report, 'summary'>): string {
  const { firstBad, streams, records, exporter } = facts;
  if (firstBad !== null) {
    const place = [
      ...(firstBad.line === 0 ? [] : [`line ${firstBad.line}`]),
      ...(firstBad.stream === null ? [] : [`stream ${firstBad.stream}`]),
      ...(firstBad.seq === null ? [] : [`place ${firstBad.seq}`]),
      ...(firstBad.decisionId === null ? [] : [`decision ${firstBad.decisionId}`]),
    ];
    const where = place.length === 0 ? '' : ` at ${place.join(', ')}`;
    return `not proven: ${firstBad.reason.replaceAll('_', ' ')}${where}: ${firstBad.detail}`;
  }
  const uncovered = streams.reduce((sum, stream) => sum + stream.notYetCovered, 0);
  const open = streams.filter(({ isClosed }) => !isClosed).length;
  const parts = [
    `${counted(records, 'record')} of ${counted(streams.length, 'stream')} are complete, in order and unchanged`,
    `signed by the ${streams.length === 1 ? 'writer' : 'writers'} of the ${streams.length === 1 ? 'stream' : 'streams'}`,
    ...(uncovered === 0 ? [] : [`but for the last ${uncovered}, written since the last checkpoint`]),
    exporter === null ? 'with no manifest to say that nothing followed' : `with their ends signed by ${exporter}`,
    ...(open === 0 ? [] : [`${counted(open, 'stream')} still open: a writer that runs, or one that ended without its last record`]),
    `times are the writers' own clocks, within the lives of their certificates`,
  ];
  return parts.join('; ');
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
