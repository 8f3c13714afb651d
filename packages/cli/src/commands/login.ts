/** `sallyport login`: an operator signs in at their identity provider, and perhaps opens a session at a sidecar of this machine. */

import { addMs, Fault, formatInstant, type JsonObject } from '@sallyport/model';
import { deadline } from '@sallyport/runtime';
import { command } from '../command.ts';
import type { Command } from '../command.ts';
import { at, outProblem, readText, writeFile } from '../files.ts';
import type { Io } from '../io.ts';
import { ask } from '../local-http.ts';
import { isLoopback } from '../login/issuer.ts';
import type { Provider, SignedIn, Told } from '../login/sign-in.ts';
import { duration, flag, positive, required, text, textOr } from '../option.ts';
import { refusal, type Output } from '../output.ts';

const CREDENTIAL_BYTES_MAX = 1_024;

export const login: Command = command({
  name: 'login',
  group: 'Operate',
  summary: 'sign in at an identity provider, and open a session',
  details: [
    'Signs in with the authorization code and PKCE: open the address that it prints, in a browser of this machine. With --device it prints a code to type on another one. The access token goes to standard output, or into a file with --out. Nothing else of the sign-in is kept.',
    "With --sidecar the token opens a session at a sidecar of this machine, whose session token is the answer instead: what an agent shows in `Sallyport-Session`. The sidecar's bundle must pin this issuer.",
  ],
  options: {
    issuer: required('--issuer URL', 'the identity provider, as its tokens name it in `iss`'),
    client: required('--client-id ID', 'the public client that it knows this command as'),
    resource: text('--resource URI', 'whom the token is for, as the policy says in `audience`'),
    scope: textOr('--scope SCOPES', 'what is asked for, separated by spaces', 'openid'),
    device: flag('--device', 'no browser here: print a code to type elsewhere'),
    port: positive('--port PORT', 'port that the browser comes back to (default: a free one)'),
    timeout: duration('--timeout SPAN', 'how long to wait for the person', { otherwise: '5m', minMs: 1_000, maxMs: 3_600_000 }),
    sidecar: text('--sidecar URL', 'open a session there: the outbound port of a sidecar, http://127.0.0.1:15001'),
    credential: text('--agent-credential-file FILE', 'what that sidecar wants to see in `Sallyport-Agent`'),
    out: text('--out FILE', 'write the token there, for its owner alone, instead of printing it'),
  },
  examples: [
    { line: 'login --issuer https://login.acme.example --client-id sallyport', says: 'print an access token' },
    {
      line: 'login --issuer https://login.acme.example --client-id sallyport --sidecar http://127.0.0.1:15001 --out session',
      says: 'a session of one’s own for the agent of this machine',
    },
  ],
  async run({ options, io, out }) {
    const issuer = urlOf(options.issuer);
    if (issuer === undefined || (issuer.protocol !== 'https:' && !isLoopback(issuer)))
      return out.refuse(
        refusal(2, `\`${options.issuer}\` is no address of an identity provider`, 'https://…, as in the `iss` of its tokens'),
      );
    const sidecar = options.sidecar === undefined ? undefined : urlOf(options.sidecar);
    if (options.sidecar !== undefined && (sidecar === undefined || sidecar.hostname !== '127.0.0.1' || sidecar.protocol !== 'http:'))
      return out.refuse(refusal(2, `\`${options.sidecar}\` is no outbound port of this machine`, 'http://127.0.0.1:15001'));
    const credential = readCredential(options.credential, io);
    if (typeof credential === 'object') return out.refuse({ exit: 64, problems: [credential] });
    const misplaced =
      options.out === undefined ? undefined : outProblem(at(io.cwd, options.out), { as: 'replacement', shown: options.out });
    if (misplaced !== undefined) return out.refuse({ exit: 64, problems: [misplaced] });
    const provider: Provider = { issuer, clientId: options.client, scope: options.scope, resource: options.resource };
    const signedIn = await signIn(provider, { ...options, io, out });
    const answer =
      sidecar === undefined
        ? accessToken(signedIn, issuer, io)
        : await session(signedIn, { port: Number(sidecar.port || 80), credential, io });
    if (options.out === undefined) await out.answer(answer.json, answer.token);
    else {
      const written = writeFile(at(io.cwd, options.out), `${answer.token}\n`, { mode: 0o600, as: 'replacement' });
      if (!written.ok) return out.refuse({ exit: 64, problems: [{ ...written.error, file: options.out }] });
      const { token: _token, ...rest } = answer.json;
      await out.answer({ ...rest, file: options.out }, `wrote ${options.out}`);
    }
    return 0;
  },
});

interface Waiting {
  readonly device: boolean;
  readonly port: number | undefined;
  readonly timeout: number;
  readonly io: Io;
  readonly out: Output;
}

async function signIn(provider: Provider, { device, port = 0, timeout, io, out }: Waiting): Promise<SignedIn> {
  const late = (): Fault => new Fault('upstream_timeout', 'upstream', 'nobody signed in; --timeout waits longer');
  const waiting = deadline(io.clock, timeout, { signal: io.signal, fault: late });
  const tell = ({ address, userCode }: Told): void =>
    out.progress(userCode === undefined ? `open this address in a browser here:\n  ${address}` : `open ${address}\nand type ${userCode}`);
  try {
    const asking = { tell, signal: waiting.signal };
    const { signInByBrowser, signInByDevice } = await import('../login/sign-in.ts');
    return device ? await signInByDevice(provider, asking) : await signInByBrowser(provider, { ...asking, port });
  } catch (thrown) {
    if (waiting.signal.aborted && waiting.signal.reason instanceof Fault) throw waiting.signal.reason;
    throw thrown;
  } finally {
    waiting.clear();
  }
}

interface Answered {
  readonly json: JsonObject;
  readonly token: string;
}

function accessToken({ accessToken: token, expiresInSeconds }: SignedIn, issuer: URL, { clock }: Io): Answered {
  const expires = expiresInSeconds === undefined ? null : formatInstant(addMs(clock.wall(), expiresInSeconds * 1_000));
  return { json: { token, kind: 'access_token', issuer: issuer.href, expires_at: expires }, token };
}

async function session(
  { accessToken: token }: SignedIn,
  { port, credential, io }: { readonly port: number; readonly credential: string | undefined; readonly io: Io },
): Promise<Answered> {
  const headers = { authorization: `Bearer ${token}`, ...(credential === undefined ? {} : { 'sallyport-agent': credential }) };
  const answer = await ask({ target: { host: '127.0.0.1', port }, method: 'POST', path: '/session', headers, signal: io.signal });
  const body = jsonOf(answer.body);
  const opened = body?.['token'];
  if (answer.status !== 201 || typeof opened !== 'string' || body === undefined) {
    const code = typeof body?.['code'] === 'string' ? `: ${body['code']}` : '';
    const id = typeof body?.['decision_id'] === 'string' ? `; ask it with \`sallyport explain ${body['decision_id']}\`` : '';
    throw new Fault('upstream_protocol', 'upstream', `the sidecar opened no session (${answer.status}${code})${id}`);
  }
  return {
    json: { token: opened, kind: 'session', session_id: body['session_id'] ?? null, expires_in: body['expires_in'] ?? null },
    token: opened,
  };
}

function readCredential(
  path: string | undefined,
  io: Io,
): string | undefined | Extract<ReturnType<typeof readText>, { ok: false }>['error'] {
  if (path === undefined) return undefined;
  const read = readText(at(io.cwd, path), { bytesMax: CREDENTIAL_BYTES_MAX, shown: path });
  return read.ok ? read.value.split('\n', 1)[0] : read.error;
}

function urlOf(value: string): URL | undefined {
  return URL.canParse(value) ? new URL(value) : undefined;
}

function jsonOf(text_: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(text_);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : undefined;
  } catch {
    return undefined;
  }
}
