/** `sallyport bundle prove`: the live proof that a sidecar without a stream asks for, brought from where the freshness key is. */

import { ProveRequestSchema, create } from '@sallyport/contract';
import { CHALLENGE_BYTES_MAX, proofFileName, readChallenge } from '@sallyport/trust';
import type { WrittenChallenge } from '@sallyport/trust';
import { prepareFolder, writeCarried } from '../bundle/carried.ts';
import { command } from '../command.ts';
import type { Command, Invocation } from '../command.ts';
import { CALL_MS, LINK_OPTIONS, refusedBy, withLink } from '../connect.ts';
import type { Link } from '../connect.ts';
import { at, readBytes } from '../files.ts';
import type { Exit } from '../io.ts';
import { required } from '../option.ts';
import { refusal, shownIdentity } from '../output.ts';

const OPTIONS = {
  challenge: required('--challenge FILE', 'what the sidecar wrote: bundle/challenge in its state_dir'),
  to: required('--to DIR', 'folder to write the proof to: the one that the sidecar watches, or one that is carried there'),
  ...LINK_OPTIONS,
} as const;

export const bundleProve: Command = command({
  name: 'bundle prove',
  group: "Signers' tools",
  summary: 'answer the question of a sidecar that has no stream and no memory',
  details: [
    'At its first start, and after it has lost its memory, a sidecar without a stream writes a question and denies until a proof over it lies in its folder. The control plane signs the proof with its freshness key, over what is current then; it is good for that one sidecar and that one question.',
    'The age of the proof runs from the writing of the question, so bring it back within the ttl. A sidecar that starts again asks anew.',
  ],
  options: OPTIONS,
  examples: [{ line: 'bundle prove --challenge challenge --to /srv/sallyport/plant', says: 'after bundle export to the same folder' }],
  async run(call) {
    const { options, io, out } = call;
    const read = readBytes(at(io.cwd, options.challenge), { bytesMax: CHALLENGE_BYTES_MAX, shown: options.challenge });
    if (!read.ok) return out.refuse({ exit: 64, problems: [read.error] });
    const challenge = readChallenge(read.value);
    if (challenge === undefined) {
      const remedy = 'name the file `bundle/challenge` in the state_dir of the sidecar';
      return out.refuse({
        exit: 64,
        problems: [{ path: '--challenge', file: options.challenge, message: 'is no question of a sidecar', remedy }],
      });
    }
    return withLink(options, call, (link) => prove(link, challenge, call));
  },
});

async function prove(link: Link, challenge: WrittenChallenge, { options, io, out }: Invocation<typeof OPTIONS>): Promise<Exit> {
  const dir = at(io.cwd, options.to);
  const unfit = prepareFolder(dir, options.to);
  if (unfit !== undefined) return out.refuse({ exit: 64, problems: [unfit] });
  const { nonce, identity } = challenge;
  const proved = await link.policyPlane.prove(create(ProveRequestSchema, { nonce, identity }), { deadlineMs: CALL_MS, signal: io.signal });
  if (!proved.ok) return out.refuse(refusedBy('asking for a proof', proved.error, link));
  const name = proofFileName(nonce);
  if (proved.value.name !== name) return out.refuse(refusal(1, 'the control plane answered another question'));
  const written = writeCarried(dir, [{ name, bytes: proved.value.data }]);
  if (!written.ok) return out.refuse({ exit: 64, problems: [written.error] });
  await out.answer({ dir, file: name, identity }, `${name} in ${options.to}: for ${shownIdentity(identity)}, and this one question`);
  return 0;
}
