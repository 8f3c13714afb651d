/**
 * A key behind a command: a KMS, a PKCS#11 token or a CI identity signs, and the private half is never here. The command
 * gets the bytes to sign on standard input and answers the signature; what it answers is verified at once against the
 * public key that its owner wrote down, so that no other key signs in its place. docs/spec/ceremonies.md section 5.
 */

import { spawn } from 'node:child_process';
import { dirname } from 'node:path';
import type { Readable } from 'node:stream';
import { concatBytes, decodeBase64, fromUtf8, readVerifyKey, verify } from '@sallyport/crypto';
import type { Signer } from '@sallyport/crypto/keys';
import { Fault, fail, invariant, ok } from '@sallyport/model';
import type { Problem, Result } from '@sallyport/model';
import { deadline, durationMs, filePath, listOf, readConfig, section, text } from '@sallyport/runtime';
import type { Field } from '@sallyport/runtime';
import { reasonOf } from './files.ts';
import type { Io } from './io.ts';
import { readPublicKey } from './public-key.ts';

interface SigningCommand {
  readonly argv: readonly string[];
  readonly public_key_file: string;
  readonly timeout_ms: number;
}

const SECOND_MS = 1_000;
const ANSWER_BYTES_MAX = 1_024;
const NOTE_BYTES_MAX = 4_096;
const SIGNATURE_BYTES = 64;

const SIGNING_COMMAND = section('A signing command', {
  argv: listOf(text({ says: 'A word of the command; no shell reads it', charactersMax: 4_096 }), {
    says: 'The command, its path first and then its arguments; it runs in the folder of this file',
    itemsMin: 1,
    itemsMax: 64,
  }),
  public_key_file: filePath({
    says: 'Public half of the key that signs there, PEM or base64',
    trusted: 'put another key in its place; it signs nothing that Root does not let it sign',
  }),
  timeout_ms: durationMs({
    says: 'How long it may take; long enough for a person who has to touch a token',
    min: SECOND_MS,
    max: 600 * SECOND_MS,
    default: 60 * SECOND_MS,
  }),
}) as Field<SigningCommand>;

/** The signer that the file describes; everything that is wrong with it at once. `sign` throws a Fault. */
export function commandSigner(file: string, io: Pick<Io, 'clock' | 'signal' | 'env' | 'note'>): Result<Signer, readonly Problem[]> {
  const config = readConfig(SIGNING_COMMAND, { file });
  if (!config.ok) return fail(config.error.map((problem) => ({ file, ...problem })));
  const key = readPublicKey(config.value.public_key_file, { cwd: dirname(file) });
  if (!key.ok) return fail([key.error]);
  const { keyId, publicRaw } = key.value;
  const own = readVerifyKey('ed25519', publicRaw);
  invariant(own !== undefined, 'a key record holds a key');
  return ok({
    alg: 'ed25519',
    keyId,
    publicRaw,
    async sign(message) {
      const signature = signatureIn(await answerOf(config.value, { message, file, io }));
      if (signature === undefined) throw unfit(file, `answered no signature: ${SIGNATURE_BYTES} bytes, or their base64, were expected`);
      if (!verify(own, message, signature)) throw unfit(file, `answered a signature that key ${keyId} did not make`);
      return signature;
    },
  });
}

function unfit(file: string, message: string): Fault {
  return new Fault('upstream_untrusted', 'upstream', `the signing command of \`${file}\` ${message}`);
}

/** 64 bytes as they are, or in base64 with what a shell adds. */
function signatureIn(answer: Uint8Array): Uint8Array | undefined {
  if (answer.byteLength === SIGNATURE_BYTES) return answer;
  const decoded = decodeBase64((fromUtf8(answer) ?? '').trim());
  return decoded?.byteLength === SIGNATURE_BYTES ? decoded : undefined;
}

interface Asked {
  readonly message: Uint8Array;
  readonly file: string;
  readonly io: Pick<Io, 'clock' | 'signal' | 'env' | 'note'>;
}

/** Standard output of a command that ended well, in time, and said no more than a signature needs. */
async function answerOf({ argv, timeout_ms: timeoutMs }: SigningCommand, { message, file, io }: Asked): Promise<Uint8Array> {
  const [name = '', ...args] = argv;
  const fault = (): Fault =>
    new Fault('upstream_timeout', 'upstream', `the signing command of \`${file}\` did not answer within ${timeoutMs} ms`);
  const over = deadline(io.clock, timeoutMs, { signal: io.signal, fault });
  // A group of its own, so that it ends with everything that it started; it has no terminal, and asks for a PIN elsewhere.
  const child = spawn(name, args, { cwd: dirname(file), env: { ...io.env }, stdio: 'pipe', detached: true });
  passOn(child.stderr, io);
  try {
    return await new Promise<Uint8Array>((resolve, reject) => {
      const chunks: Uint8Array[] = [];
      let bytes = 0;
      over.signal.addEventListener('abort', () => reject(over.signal.reason as Error), { once: true });
      child.once('error', (error) => reject(unfit(file, `cannot be run: ${reasonOf(error)}`)));
      child.stdout.on('data', (chunk: Buffer) => {
        bytes += chunk.byteLength;
        if (bytes > ANSWER_BYTES_MAX) reject(unfit(file, `answered more than ${ANSWER_BYTES_MAX} bytes`));
        else chunks.push(new Uint8Array(chunk));
      });
      child.once('close', (code, signal) => {
        if (code === 0) resolve(concatBytes(...chunks));
        else reject(unfit(file, `ended with ${String(code ?? signal)}`));
      });
      // A command that does not read its input is judged by what it answers.
      child.stdin.on('error', () => undefined);
      child.stdin.end(message);
    });
  } finally {
    over.clear();
    endGroup(child.pid);
    child.stdout.destroy();
    child.stderr.destroy();
  }
}

/** What it says to its holder, such as to touch a token, up to a bound. */
function passOn(stderr: Readable, { note }: Pick<Io, 'note'>): void {
  // Owner: this function.
  let left = NOTE_BYTES_MAX;
  stderr.on('data', (chunk: Buffer) => {
    if (left > 0) note(chunk.subarray(0, left).toString('utf8'));
    left -= chunk.byteLength;
  });
}

/** The command and whatever it started: nothing of it signs on behind our back. */
function endGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // All of it has ended already.
  }
}
