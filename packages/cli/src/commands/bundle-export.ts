/** `sallyport bundle export`: what a sidecar would be sent now, as a folder that can be carried to where no stream goes. */

import { ExportRequestSchema, create } from '@sallyport/contract';
import { formatInstant } from '@sallyport/model';
import { FRESHNESS_FILE, RELEASE_FILE, digestOfPayload, parseEnvelope, readFreshness, readRelease, readStatements } from '@sallyport/trust';
import type { Freshness, Release } from '@sallyport/trust';
import { gatherCarried, prepareFolder, removeOthers, writeCarried } from '../bundle/carried.ts';
import type { CarriedBytes } from '../bundle/carried.ts';
import { command } from '../command.ts';
import type { Command, Invocation } from '../command.ts';
import { LINK_OPTIONS, refusedBy, withLink } from '../connect.ts';
import type { Link } from '../connect.ts';
import { at } from '../files.ts';
import type { Exit } from '../io.ts';
import { formatSpan, required } from '../option.ts';
import { counted, refusal } from '../output.ts';
import { areaOption, placeOf, placeProblems, ringOption } from '../places.ts';

const OPTIONS = {
  to: required('--to DIR', 'folder to write; one that was written before is brought up to date'),
  ...LINK_OPTIONS,
  area: areaOption,
  ring: ringOption,
} as const;

export const bundleExport: Command = command({
  name: 'bundle export',
  group: "Signers' tools",
  summary: 'write the policy in force, with freshness and revocations, as a folder for sidecars without a stream',
  details: [
    'For `policy.directory` of a sidecar, carried as it is or as a ConfigMap. Every file is signed, and verified by the sidecar: nothing in it is secret, and nobody on the way can change it. Each is written beside its name and renamed, so that it may be run again and again over a folder in use.',
    'The statement of freshness in it is of this moment. The sidecar denies when it is older than its ttl: run this more often than that.',
  ],
  options: OPTIONS,
  examples: [{ line: 'bundle export --area acme/plant --to /srv/sallyport/plant', says: 'from cron, every minute' }],
  async run(call) {
    const { options, io, out } = call;
    const wrong = placeProblems(options);
    if (wrong.length > 0) return out.refuse({ exit: 2, problems: wrong });
    return withLink(options, call, (link) => {
      const unfit = prepareFolder(at(io.cwd, options.to), options.to);
      return unfit === undefined ? writeAll(link, call) : out.refuse({ exit: 64, problems: [unfit] });
    });
  },
});

async function writeAll(link: Link, { options, io, out }: Invocation<typeof OPTIONS>): Promise<Exit> {
  const { area, ring } = placeOf(options);
  const dir = at(io.cwd, options.to);
  const pieces = link.policyPlane.export(create(ExportRequestSchema, { area, ring }), { signal: io.signal });
  const files = await gatherCarried(pieces);
  const status = await pieces.status;
  if (status.code !== 'ok') return out.refuse(refusedBy('asking for what is in force', status, link));
  if (!files.ok) return out.refuse(refusal(1, `while asking for what is in force: ${files.error}`));
  const written = writeCarried(dir, files.value);
  if (!written.ok) return out.refuse({ exit: 64, problems: [written.error] });
  removeOthers(dir, files.value, io.clock.wall());
  const names = files.value.map(({ name }) => name);
  const [release, freshness] = [releaseIn(files.value), freshnessIn(files.value)];
  const until = freshness === undefined || release === undefined ? 0 : Math.min(freshness.ttlMs, release.payload.freshnessTtlMsMax);
  await out.answer(
    {
      dir,
      area,
      ring,
      release_seq: release?.payload.releaseSeq ?? 0,
      release: release?.digest ?? null,
      issued_at: freshness === undefined ? null : formatInstant(freshness.issuedAt),
      ttl_ms: until,
      files: names,
    },
    `${counted(names.length, 'file')} in ${options.to}: release ${release?.payload.releaseSeq ?? 0} of ${area}, ring ${ring}, good for ${formatSpan(until)}`,
  );
  return 0;
}

function releaseIn(files: readonly CarriedBytes[]): { readonly payload: Release; readonly digest: string } | undefined {
  const bytes = files.find(({ name }) => name === RELEASE_FILE)?.bytes;
  const envelope = bytes === undefined ? undefined : parseEnvelope('Release', bytes);
  const read = envelope?.ok === true ? readRelease(envelope.value.payload) : undefined;
  return envelope?.ok === true && read?.ok === true ? { payload: read.value, digest: digestOfPayload(envelope.value.payload) } : undefined;
}

function freshnessIn(files: readonly CarriedBytes[]): Freshness | undefined {
  const [statement] = readStatements(files.find(({ name }) => name === FRESHNESS_FILE)?.bytes);
  const envelope = statement === undefined ? undefined : parseEnvelope('Freshness', statement.offer.envelope);
  const read = envelope?.ok === true ? readFreshness(envelope.value.payload) : undefined;
  return read?.ok === true ? read.value : undefined;
}
