/** `sallyport directory …`: what is said of principals beside their tokens, handed in as a whole and looked up by name. */

import { GetHeadRequestSchema, SubmitRequestSchema, create } from '@sallyport/contract';
import { fail, formatInstant, isDigest, ok } from '@sallyport/model';
import type { DirectoryEntry, Instant, Json, Result } from '@sallyport/model';
import { DIRECTORY_BYTES_MAX, digestOfPayload, readDirectoryContent } from '@sallyport/trust';
import { command } from '../command.ts';
import type { Command } from '../command.ts';
import { CALL_MS, LINK_OPTIONS, refusedBy, withLink } from '../connect.ts';
import type { Link } from '../connect.ts';
import { readEntries } from '../directory/read-entries.ts';
import { at, readText } from '../files.ts';
import type { Io } from '../io.ts';
import { refusal } from '../output.ts';
import type { Refusal } from '../output.ts';
import { fetchObject } from '../publish/objects.ts';
import { uploadParts } from '../publish/submit-bundle.ts';

const FILE_BYTES_MAX = 4 * DIRECTORY_BYTES_MAX;

export const directoryImport: Command = command({
  name: 'directory import',
  group: 'Operate',
  summary: 'say of principals what the file says, and nothing else any more',
  details: [
    'One JSON object to a line: {"issuer", "tenant", "principal", "attributes"}. The file is the whole of it: whoever has no line has no attribute.',
    'The control plane signs it and tells every sidecar at once. It can say only what Root and bundles leave to the directory.',
  ],
  arguments: [{ name: 'FILE', says: 'the file (NDJSON)' }],
  options: LINK_OPTIONS,
  examples: [{ line: 'directory import people.ndjson', says: 'take somebody out of a group by leaving it out of their line' }],
  async run(call) {
    const {
      arguments: [shown = ''],
      options,
      io,
      out,
    } = call;
    const text = readText(at(io.cwd, shown), { bytesMax: FILE_BYTES_MAX, shown });
    if (!text.ok) return out.refuse({ exit: 64, problems: [text.error] });
    return withLink(options, call, async (link) => {
      const content = readEntries(text.value, { file: shown, attributes: link.trust.root.directoryAttributes });
      if (!content.ok) return out.refuse({ exit: 1, problems: content.error });
      const sent = await uploadParts(link, [content.value], { io, out });
      if (!sent.ok) return out.refuse(sent.error);
      const digest = digestOfPayload(content.value);
      const answer = await link.directory.submit(create(SubmitRequestSchema, { digest }), { deadlineMs: CALL_MS, signal: io.signal });
      if (!answer.ok) return out.refuse(refusedBy('handing in the directory', answer.error, link));
      if (answer.value.refusal !== '') return out.refuse(refusal(1, answer.value.refusal));
      const { added, changed, removed } = answer.value;
      const seq = Number(answer.value.seq);
      await out.answer(
        { seq, content: digest, added, changed, removed },
        `directory ${seq}: principals added ${added}, changed ${changed}, removed ${removed}`,
      );
      return 0;
    });
  },
});

export const directoryShow: Command = command({
  name: 'directory show',
  group: 'Operate',
  summary: 'what is said of a principal now, and since when',
  arguments: [{ name: 'PRINCIPAL', says: 'its id, as records name the operator' }],
  options: LINK_OPTIONS,
  examples: [{ line: 'directory show alice@company.com', says: 'in every issuer and tenant that has one of that name' }],
  async run(call) {
    const {
      arguments: [id = ''],
      options,
      io,
      out,
    } = call;
    return withLink(options, call, async (link) => {
      const said = await fetchDirectory(link, io);
      if (!said.ok) return out.refuse(said.error);
      const { seq, issuedAt, entries } = said.value;
      const found = entries.filter(({ principal }) => principal === id);
      const shown = found.map(({ issuer, tenant, attributes }) => `  ${tenant}, by ${issuer}: ${JSON.stringify(attributes)}`);
      const head =
        seq === 0 ? 'nothing is said of anybody' : `directory ${seq} of ${formatInstant(issuedAt)}, ${entries.length} principals`;
      await out.answer(
        {
          seq,
          ...(seq === 0 ? {} : { issued_at: formatInstant(issuedAt) }),
          principal: id,
          entries: found.map(({ issuer, tenant, attributes }): Json => ({ issuer, tenant, attributes: { ...attributes } as Json })),
        },
        [head, ...(seq > 0 && shown.length === 0 ? [`  nothing of ${id}`] : shown)].join('\n'),
      );
      return found.length > 0 ? 0 : 1;
    });
  },
});

interface Said {
  /** 0 where nothing is said. */
  readonly seq: number;
  readonly issuedAt: Instant;
  readonly entries: readonly DirectoryEntry[];
}

/** Believed as far as its digest goes: it is for people to read, and decides nothing. */
async function fetchDirectory(link: Link, io: Io): Promise<Result<Said, Refusal>> {
  const head = await link.directory.getHead(create(GetHeadRequestSchema), { deadlineMs: CALL_MS, signal: io.signal });
  if (!head.ok) return fail(refusedBy('asking for the directory', head.error, link));
  const { content } = head.value;
  const [seq, issuedAt] = [Number(head.value.seq), Number(head.value.issuedAtMs) as Instant];
  if (seq === 0) return ok({ seq, issuedAt, entries: [] });
  const bytes = isDigest(content) ? await fetchObject(link, { digest: content, bytesMax: DIRECTORY_BYTES_MAX }, io) : undefined;
  const read = bytes === undefined || digestOfPayload(bytes) !== content ? undefined : readDirectoryContent(bytes);
  return read?.ok === true
    ? ok({ seq, issuedAt, entries: read.value })
    : fail(refusal(1, 'its content cannot be had, or is not what it names'));
}
