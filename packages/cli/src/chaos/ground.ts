/**
 * A scratch installation that attacks may break: a temporary folder with a development root of its own, a control plane
 * on ports of 127.0.0.1 that nobody else has, two releases, and a sidecar for each attack. No option of it names an
 * installation that exists: nothing here can reach one. Everything that is started is ended.
 */

import { appendFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { GetObjectRequestSchema, create } from '@sallyport/contract';
import { concatBytes } from '@sallyport/crypto';
import { signerFromPem } from '@sallyport/crypto/keys';
import type { LocalSigner } from '@sallyport/crypto/keys';
import { Fault, formatProblem } from '@sallyport/model';
import type { Digest } from '@sallyport/model';
import { parseEnvelope, readBundle } from '@sallyport/trust';
import type { Bundle } from '@sallyport/trust';
import type { Command } from '../command.ts';
import { agentsJoinToken } from '../commands/agents-join-token.ts';
import { auditTail } from '../commands/audit-tail.ts';
import { auditVerify } from '../commands/audit-verify.ts';
import { fleetStatus } from '../commands/fleet-status.ts';
import { policyPublish } from '../commands/policy-publish.ts';
import { revokePrincipal } from '../commands/revoke.ts';
import { rootInit } from '../commands/root-init.ts';
import { openLink } from '../connect.ts';
import type { Link } from '../connect.ts';
import { freePorts } from '../demo/free-port.ts';
import { startApp, stopApp } from '../demo/processes.ts';
import type { AppProcess } from '../demo/processes.ts';
import { temporaryDir, untilServing } from '../demo/scratch.ts';
import { startToolServer } from '../demo/tool-server.ts';
import type { ToolServer } from '../demo/tool-server.ts';
import { type } from '../demo/typed.ts';
import type { Typed } from '../demo/typed.ts';
import { readText } from '../files.ts';
import { homeOf, signingKeyFile } from '../home.ts';
import type { SigningKey } from '../home.ts';
import type { Io } from '../io.ts';
import { passingIssuer } from '../onboard/dev-issuer.ts';
import { placeOf } from '../places.ts';
import { readVersions } from '../publish/versions.ts';
import { CHAOS_AGENT, CHAOS_ISSUER, policyYaml } from './policy.ts';
import { startRogue } from './rogue.ts';
import type { Rogue } from './rogue.ts';
import { startSubject } from './subject.ts';
import type { Subject } from './subject.ts';

/** A release as it was signed, and what it enforces. */
export interface Stored {
  readonly releaseSeq: number;
  readonly digest: Digest;
  readonly release: Uint8Array;
  readonly bundle: Bundle;
  readonly bundleDigest: Digest;
  readonly envelope: Uint8Array;
  readonly parts: readonly Uint8Array[];
}

export interface Ground {
  readonly dir: string;
  /** The administrator's folder. */
  readonly home: string;
  readonly trustDomain: string;
  /** How long a sidecar goes on without a word. */
  readonly ttlMs: number;
  /** The release before, and the one in force. */
  readonly first: Stored;
  readonly second: Stored;
  /** Requests that have reached the tool. */
  readonly tool: ToolServer;
  /** A key that stays with people: for what an attacker does *not* have, and for what is well signed. */
  signer(name: SigningKey): LocalSigner;
  /** Types a command as the administrator. */
  type(argv: readonly string[]): Promise<Typed>;
  /** A sidecar of this name that enforces the second release. */
  startSubject(instance: string): Promise<Subject>;
  /** A control plane in an attacker's hands, on a port of its own; closed with the ground. */
  startRogue(): Promise<Rogue>;
  readonly grpcPort: number;
  /** SIGKILL, and waits until it is gone. */
  killControlPlane(): Promise<void>;
  startControlPlane(): Promise<void>;
  close(): Promise<void>;
}

const COMMANDS: readonly Command[] = [rootInit, policyPublish, agentsJoinToken, revokePrincipal, fleetStatus, auditTail, auditVerify];
const TRUST_DOMAIN = 'chaos.local';
const POLICY_DIR = 'policy';
export const PLACE: ReturnType<typeof placeOf> = placeOf({ area: 'default', ring: 'default' });

/** Rejects with a Fault where it cannot be laid out; nothing of it is left then. */
export async function layGround({ io, ttlMs }: { readonly io: Io; readonly ttlMs: number }): Promise<Ground> {
  const dir = temporaryDir('chaos');
  // Owner: this ground. What has to be ended, the last first.
  const ends: (() => Promise<unknown>)[] = [async () => rmSync(dir, { recursive: true, force: true })];
  const close = async (): Promise<void> => {
    for (const end of ends.splice(0).toReversed()) await end();
  };
  try {
    return await layOut({ io, ttlMs, dir, ends, close });
  } catch (error) {
    await close();
    throw error;
  }
}

interface Laying {
  readonly io: Io;
  readonly ttlMs: number;
  readonly dir: string;
  readonly ends: (() => Promise<unknown>)[];
  readonly close: () => Promise<void>;
}

async function layOut({ io, ttlMs, dir, ends, close }: Laying): Promise<Ground> {
  const home = join(dir, '.sallyport');
  const [grpc = 0, enrolment = 0] = await freePorts(2);
  const tool = await startToolServer(() => ({ status: 200, json: { ok: true }, isCall: true }));
  ends.push(() => tool.close());
  const issuer = passingIssuer(CHAOS_ISSUER);
  const typed = (argv: readonly string[]): Promise<Typed> => type(argv, { commands: COMMANDS, cwd: dir, io });
  const must = async (...argv: readonly string[]): Promise<void> => {
    const { exit, said } = await typed(argv);
    if (exit !== 0) throw new Fault('config_invalid', 'internal', `sallyport ${argv.slice(0, 2).join(' ')}: ${said.trim()}`);
  };
  const addresses = ['--grpc', `127.0.0.1:${grpc}`, '--enrolment', `127.0.0.1:${enrolment}`];
  await must('root', 'init', '--development', '--trust-domain', TRUST_DOMAIN, ...addresses, '--freshness-ttl', `${ttlMs}ms`);
  appendFileSync(join(home, 'control-plane', 'config.yaml'), 'drain_ms: 500\n');
  let controlPlane: AppProcess | undefined;
  const startControlPlane = async (): Promise<void> => {
    const argv = ['control-plane', '--config', join(home, 'control-plane', 'config.yaml')];
    controlPlane = await startApp('the control plane', argv, { logFile: join(dir, 'control-plane.log'), cwd: dir });
    await untilServing(controlPlane, io, 'control_plane.started');
  };
  ends.push(async () => controlPlane && stopApp(controlPlane, io.clock));
  await startControlPlane();
  mkdirSync(join(dir, POLICY_DIR));
  for (const allowsRefund of [true, false]) {
    writeFileSync(join(dir, POLICY_DIR, 'policy.yaml'), policyYaml({ toolUrl: tool.url, issuer, allowsRefund }));
    await must('policy', 'publish', POLICY_DIR);
  }
  const [second, first] = await storedReleases(dir, io);
  if (first === undefined || second === undefined) throw new Fault('store_failed', 'internal', 'what was published is not there');
  return {
    dir,
    home,
    trustDomain: TRUST_DOMAIN,
    ttlMs,
    first,
    second,
    tool,
    grpcPort: grpc,
    type: typed,
    signer(name) {
      const file = signingKeyFile(homeOf(home, io), name);
      const pem = readText(file, { bytesMax: 65_536 });
      if (!pem.ok) throw new Fault('config_invalid', 'internal', formatProblem(pem.error));
      return signerFromPem(pem.value);
    },
    async startSubject(instance) {
      const joinToken = (out: string): Promise<void> => must('agents', 'join-token', '--agent', CHAOS_AGENT, '--out', out);
      const subject = await startSubject({ io, dir, instance, trustDomain: TRUST_DOMAIN, ports: { grpc, enrolment }, issuer, joinToken });
      ends.push(() => subject.close());
      if (await subject.enforces(second.releaseSeq)) return subject;
      throw new Fault('config_invalid', 'internal', `the sidecar ${instance} does not come to enforce what was published`);
    },
    async startRogue() {
      const rogue = await startRogue({ home, trustDomain: TRUST_DOMAIN, clock: io.clock, signal: io.signal, host: '127.0.0.1', port: 0 });
      ends.push(() => rogue.close());
      return rogue;
    },
    async killControlPlane() {
      controlPlane?.kill('SIGKILL');
      await controlPlane?.ended;
    },
    startControlPlane,
    close,
  };
}

/** The newest first. */
async function storedReleases(dir: string, io: Io): Promise<readonly Stored[]> {
  const here: Io = { ...io, cwd: dir, env: {} };
  const link = await openLink({ dir: undefined, controlPlane: undefined, admin: undefined }, here);
  if (!link.ok) throw new Fault('config_invalid', 'internal', link.error.problems.map(formatProblem).join('; '));
  try {
    const versions = await readVersions(link.value, PLACE, here);
    if (!versions.ok) throw new Fault('store_failed', 'internal', versions.error.problems.map(formatProblem).join('; '));
    return await Promise.all(
      versions.value.releases.map(async ({ releaseSeq, digest, bundles }) => {
        const [bundleDigest] = bundles;
        if (bundleDigest === undefined) throw new Fault('store_failed', 'internal', 'a release names no bundle');
        const envelope = await objectOf(link.value, bundleDigest, here);
        const bundle = manifestIn(envelope);
        const parts = await Promise.all(Object.values(bundle.parts).map((part) => objectOf(link.value, part.digest, here)));
        return { releaseSeq, digest, release: await objectOf(link.value, digest, here), bundle, bundleDigest, envelope, parts };
      }),
    );
  } finally {
    link.value.close();
  }
}

function manifestIn(envelope: Uint8Array): Bundle {
  const parsed = parseEnvelope('Bundle', envelope);
  const read = parsed.ok ? readBundle(parsed.value.payload) : parsed;
  if (read.ok) return read.value;
  throw new Fault('store_failed', 'internal', `what was published does not read: ${read.error.detail}`);
}

/** The bytes as they were signed, whatever they are: the attacker has them all. */
async function objectOf(link: Link, digest: Digest, io: Io): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  const stream = link.publish.getObject(create(GetObjectRequestSchema, { digest }), { signal: io.signal });
  for await (const { data } of stream) chunks.push(data);
  const { code, message } = await stream.status;
  if (code !== 'ok') throw new Fault('control_plane_unreachable', 'control_plane', `while reading \`${digest}\`: ${message}`);
  return concatBytes(...chunks);
}
