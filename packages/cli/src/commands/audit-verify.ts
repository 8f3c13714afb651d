/** `sallyport audit verify`: an export proven offline, from the pin to the last record, or the first one that is bad. */

import { exportVerifier } from '@sallyport/audit';
import type { Finding, Report } from '@sallyport/audit';
import type { Json } from '@sallyport/model';
import { command } from '../command.ts';
import type { Command } from '../command.ts';
import { eachLine } from '../evidence/lines.ts';
import type { Lines } from '../evidence/lines.ts';
import { at } from '../files.ts';
import { dirOption, homeOf } from '../home.ts';
import { flag } from '../option.ts';
import { counted, shownIdentity, table } from '../output.ts';
import { readOwnTrust, rootPinOption, rootsOption } from '../trust-files.ts';

export const auditVerify: Command = command({
  name: 'audit verify',
  group: 'Evidence',
  summary: 'prove an export of records, or name the first record that is bad',
  details: [
    'Needs no network: the pin proves the Roots, the Roots prove the CA, the CA each writer’s audit key, the key its checkpoints, the checkpoints every byte before them; the manifest in the last line proves where each stream ends.',
    'Says in one line what is proven and whose clock it stands on. Exits with 1 where anything was edited, deleted, inserted, reordered or cut.',
  ],
  arguments: [{ name: 'FILE', says: 'what audit tail --view records wrote' }],
  options: {
    rootPin: rootPinOption,
    roots: rootsOption,
    partial: flag('--partial', 'accept an export without its last line: then nothing is said about what may follow'),
    dir: dirOption,
  },
  examples: [
    { line: 'audit verify export.ndjson', says: 'with the pin and the Roots of the folder' },
    { line: 'audit verify export.ndjson --root-pin sha256:… --root 1.json', says: 'anywhere, with nothing but files' },
  ],
  async run({ arguments: [shown = ''], options, io, out }) {
    const trust = readOwnTrust(homeOf(options.dir, io), options, io);
    if (!trust.ok) return out.refuse(trust.error);
    const { root } = trust.value;
    const verifier = exportVerifier({
      roots: root.certificateAuthorities,
      trustDomain: root.trustDomain,
      manifest: options.partial ? 'optional' : 'required',
    });
    let first: Uint8Array | undefined;
    const add: Lines['add'] = (line, isTerminated) => {
      first ??= line.slice(0, HINT_BYTES_MAX);
      verifier.add(line, isTerminated);
    };
    const read = eachLine(at(io.cwd, shown), { add, shown });
    if (!read.ok) return out.refuse({ exit: 64, problems: [read.error] });
    const report = withHint(verifier.end(), first);
    await out.answer(reportJson(report), reportText(report));
    return report.isSound ? 0 : 1;
  },
});

/** Enough of a line to see what it was meant as. */
const HINT_BYTES_MAX = 65_536;

/** What is easily taken for an export is named, where it does not verify from its first line on. */
function withHint(report: Report, first: Uint8Array | undefined): Report {
  const text = new TextDecoder().decode(first);
  const isCall = /^\d{4}-\d\d-\d\dT[0-9:.]+Z {2}(allow|deny) /.test(text) || /^\{(?!.*"prev":).*"kind":"CALL"/.test(text);
  if (report.firstBad?.line !== 1 || !isCall) return report;
  return {
    ...report,
    summary: `${report.summary} (this is view calls; what can be proven is written by \`sallyport audit tail --view records\`)`,
  };
}

function reportJson({ isSound, summary, firstBad, streams, records, exporter, uninterpreted }: Report): Json {
  return {
    verified: isSound,
    summary,
    first_bad: firstBad === null ? null : findingJson(firstBad),
    records,
    exporter,
    uninterpreted,
    streams: streams.map(({ stream, sidecar, lastSeq, signedThrough, notYetCovered, isClosed, previous, finding }) => ({
      stream,
      writer: sidecar,
      last_seq: lastSeq,
      signed_through: signedThrough,
      not_yet_covered: notYetCovered,
      closed: isClosed,
      previous: previous === null ? null : { stream: previous.stream, in_export: previous.isInExport },
      finding: finding === null ? null : findingJson(finding),
    })),
  };
}

function findingJson({ reason, line, stream, seq, decisionId, detail }: Finding): Json {
  return { reason, line, stream, seq, decision_id: decisionId, detail };
}

function reportText({ isSound, summary, streams, uninterpreted }: Report): string {
  const rows = streams.map((one) => [
    one.finding === null ? 'ok ' : 'BAD',
    one.stream,
    one.sidecar === null ? 'unproven' : shownIdentity(one.sidecar),
    counted(one.lastSeq, 'record'),
    one.finding === null
      ? one.isClosed
        ? 'closed'
        : `signed through ${one.signedThrough}`
      : `${one.finding.reason} at line ${one.finding.line}: ${one.finding.detail}`,
  ]);
  const odd =
    uninterpreted === 0 ? [] : [`${counted(uninterpreted, 'record')} of kinds that this version does not know, proven all the same`];
  return [...(rows.length === 0 ? [] : [table(rows)]), ...odd, isSound ? `verified: ${summary}` : summary].join('\n');
}
