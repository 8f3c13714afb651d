/** A sidecar of this machine: its configuration, what it keeps, its ports, and why it is or is not ready. */

import { join } from 'node:path';
import { Fault, isDigest } from '@sallyport/model';
import type { JsonObject } from '@sallyport/model';
import { deadline, readConfig, realFileSystem } from '@sallyport/runtime';
import type { ListenAddress } from '@sallyport/runtime';
import type { SidecarConfig } from '@sallyport/sidecar';
import { shownPath } from '../../home.ts';
import { readText } from '../../files.ts';
import type { Home } from '../../home.ts';
import type { Io } from '../../io.ts';
import { ask } from '../../local-http.ts';
import { counted } from '../../output.ts';
import type { LocalTarget } from '../../local-http.ts';
import { failed, failedOf, judgeExpiry, shownLeft, warned, well } from './check.ts';
import type { Check } from './check.ts';
import { holderOf, judgeDisk, judgeKeyFiles, judgeStateFolder } from './machine.ts';
import { judgePort, reachable } from './ports.ts';

const ANSWER_MS_MAX = 3_000;
const BACKLOG_WARN_RECORDS = 1_000;
const BACKLOG_WARN_S = 60;

export async function judgeSidecar(file: string, home: Home, io: Io): Promise<readonly Check[]> {
  const { SIDECAR_CONFIG } = await import('@sallyport/sidecar');
  const config = readConfig(SIDECAR_CONFIG, { file });
  if (!config.ok) return config.error.map((problem) => failedOf('sidecar config', { file, ...problem }));
  const { state_dir: stateDir, outbound, inbound, health } = config.value;
  const holder = holderOf(stateDir);
  const ports = [
    { key: 'outbound.listen', address: outbound.listen },
    { key: 'health.listen', address: health.listen },
    ...(inbound === undefined ? [] : [{ key: 'inbound.listen', address: inbound.listen }]),
  ];
  const judged = await Promise.all(ports.map(async (port) => judgePort('sidecar port', { ...port, holder }, io)));
  return [
    well('sidecar config', shownPath(file, io)),
    ...judgePin(config.value, home),
    ...judgeStateFolder('sidecar state', stateDir),
    ...judgeKeyFiles([join(stateDir, 'identity')]),
    judgeDisk('sidecar disk', stateDir),
    ...judged.flat(),
    ...(holder === undefined ? [notRunning(config.value, file, io)] : await judgeRunning(health.listen, holder, io)),
  ];
}

/** Whose policy the sidecar takes: it has to be the one whose folder this is. */
function judgePin({ root_pin_file: file }: SidecarConfig, home: Home): readonly Check[] {
  const subject = 'sidecar root pin';
  const text = readText(file, { bytesMax: 256 });
  if (!text.ok) return [failedOf(subject, { ...text.error, remedy: 'put the `sha256:…` of root-pin there' })];
  const pin = text.value.trim();
  if (!isDigest(pin)) return [failed(subject, `${file} holds no digest`, 'put the `sha256:…` of root-pin there')];
  const own = readText(home.rootPin, { bytesMax: 256 });
  if (!own.ok || own.value.trim() === pin) return [well(subject, `${pin.slice(0, 19)}…`)];
  return [
    failed(
      subject,
      `${pin.slice(0, 19)}… is not the pin of ${home.dir}`,
      'it would believe another control plane; name the folder that is meant with --dir',
    ),
  ];
}

function notRunning({ agent, state_dir: stateDir, control_plane: controlPlane }: SidecarConfig, file: string, io: Io): Check {
  const disk = realFileSystem();
  const isEnrolled = disk.readFile(join(stateDir, 'identity', 'certificates.json'), 65_536) !== undefined;
  const token = controlPlane.join_token_file;
  const start = `sallyport sidecar --config ${shownPath(file, io)}`;
  if (isEnrolled || (token !== undefined && disk.readFile(token, 65_536) !== undefined)) return warned('sidecar', 'does not run', start);
  return warned(
    'sidecar',
    'does not run, and has no identity and no join token',
    `sallyport agents join-token --agent ${agent} --out ${token === undefined ? 'FILE, named as control_plane.join_token_file' : shownPath(token, io)}; then ${start}`,
  );
}

/** Asked over its health port. */
async function judgeRunning(listen: ListenAddress, holder: number, io: Io): Promise<readonly Check[]> {
  const address = reachable(listen);
  const target: LocalTarget = address.kind === 'unix' ? { socketPath: address.path } : { host: '127.0.0.1', port: address.port };
  const [ready, metrics] = [await answerOf(target, '/readyz', io), await answerOf(target, '/metrics', io)];
  const alive = well('sidecar', `runs as process ${holder}`);
  if (ready === undefined) return [alive, failed('sidecar readiness', 'its health port does not answer', 'its log says why')];
  return [alive, ...judgeReadiness(ready, io), ...(metrics === undefined ? [] : [judgeBacklog(metrics)])];
}

/** What `/readyz` of a sidecar, or `/status` of its administration socket, says. */
export function judgeReadiness(body: string, io: Pick<Io, 'clock'>): readonly Check[] {
  const subject = 'sidecar readiness';
  const status = objectOf(body);
  if (status === undefined || typeof status['reason'] !== 'string')
    return [failed(subject, 'what answers is not a sidecar', 'is another program on its port?')];
  const { ready, reason, release_seq: release, policy_age_ms: age, ttl_ms: ttl, connected, identity_expires_at: expires } = status;
  const isConnected = connected === true;
  if (ready !== true) return [failed(subject, `not ready: ${reason}`, remedyOf(reason, isConnected))];
  const spent = typeof age === 'number' && typeof ttl === 'number' ? `, ${shownLeft(age)} of ${shownLeft(ttl)} old` : '';
  const says = `ready: enforces release ${JSON.stringify(release)}${spent}`;
  const isLate = typeof age === 'number' && typeof ttl === 'number' && age > ttl / 2;
  return [
    isLate || !isConnected
      ? warned(
          subject,
          `${says}; not connected to the control plane`,
          'when its time is over every call is refused: start the control plane',
        )
      : well(subject, says),
    ...(typeof expires === 'string' ? [judgeIdentity(Date.parse(expires) - io.clock.wall(), isConnected)] : []),
    ...judgeIsolation(status),
    ...judgeCredentials(status),
  ];
}

/** Sidecars before this one say nothing of it. */
function judgeIsolation({ isolation, isolation_reasons: reasons }: Readonly<Record<string, unknown>>): readonly Check[] {
  const subject = 'sidecar isolation';
  if (isolation === 'enforced') return [well(subject, 'enforced: nothing that the sidecar sees speaks against it')];
  if (isolation !== 'advisory' || !Array.isArray(reasons)) return [];
  if (reasons.includes('not_vouched')) return [well(subject, 'advisory, as configured: the agent could go round the sidecar')];
  return [
    warned(
      subject,
      `configured as enforced, and advisory: ${reasons.map(String).join(', ')}`,
      'its log names the place; sensitive tools are refused until it is mended, unless the policy says otherwise',
    ),
  ];
}

/** Sidecars before this one name none. */
function judgeCredentials(status: Readonly<Record<string, unknown>>): readonly Check[] {
  const named = (member: string): string => (Array.isArray(status[member]) ? status[member].map(String).join(', ') : '');
  const [stale, failing] = [named('stale_credentials'), named('failing_credentials')];
  const [leaked, critical] = [named('leaked_credentials'), named('critical_credentials')];
  const subject = 'sidecar credentials';
  return [
    ...(critical === ''
      ? []
      : [
          failed(
            subject,
            `leaked five days ago or more, and in use: ${critical}`,
            'replace them at the tool, now; whoever found them can call it',
          ),
        ]),
    ...(leaked === '' || leaked === critical
      ? []
      : [warned(subject, `leaked, and in use: ${leaked}`, 'replace them at the tool; the sidecar follows by itself')]),
    ...(stale === ''
      ? []
      : [warned(subject, `older than their max_age: ${stale}`, 'replace them where they lie; the sidecar follows by itself')]),
    ...(failing === ''
      ? []
      : [warned(subject, `cannot be read now: ${failing}`, 'GET /credentials on its administration socket says why')]),
  ];
}

function judgeIdentity(leftMs: number, isConnected: boolean): Check {
  // Renewed by itself at half of its life, so what is short is normal while there is somebody to renew it.
  return judgeExpiry('sidecar identity', {
    what: 'its certificate',
    leftMs,
    warnMs: isConnected ? 0 : 1_800_000,
    remedy: 'it is renewed by the control plane; afterwards it takes a new join token',
  });
}

const REMEDIES: readonly (readonly [RegExp, string])[] = [
  [/^draining/, 'it is ending; start it again'],
  [/^journal_full/, 'the collector is the control plane: start it, or raise audit.journal_bytes_max'],
  [/^journal_/, 'is the disk full or read-only? its log says'],
  [/^expired|^never_renewed/, 'start the control plane: no statement of it is fresh'],
  [/^revocation_gap/, 'it waits for revocations that it has not seen: is the control plane up?'],
  [/^root_/, 'the root has changed or ended: the control plane needs a release under the new one'],
];

function remedyOf(reason: string, isConnected: boolean): string {
  const known = REMEDIES.find(([pattern]) => pattern.test(reason))?.[1];
  return (
    known ??
    (isConnected
      ? 'is a policy published for its area and ring? sallyport policy publish'
      : 'is the control plane running, and has this sidecar an identity or a join token?')
  );
}

function judgeBacklog(metrics: string): Check {
  const read = (name: string): number => Number(new RegExp(`^${name} ([0-9.e+]+)$`, 'm').exec(metrics)?.[1] ?? 0);
  const [records, seconds] = [read('sallyport_audit_backlog_records'), read('sallyport_audit_backlog_age_seconds')];
  const says = `${counted(records, 'record')} that the collector does not have yet`;
  const isLate = records > BACKLOG_WARN_RECORDS || (records > 0 && seconds > BACKLOG_WARN_S);
  return isLate
    ? warned('audit backlog', `${says}, for ${Math.floor(seconds)} s`, 'is the control plane up, and has it room?')
    : well('audit backlog', says);
}

/** `undefined` where nobody answers. */
export async function answerOf(target: LocalTarget, path: string, io: Pick<Io, 'clock' | 'signal'>): Promise<string | undefined> {
  const fault = (): Fault => new Fault('upstream_timeout', 'upstream', 'no answer');
  const over = deadline(io.clock, ANSWER_MS_MAX, { signal: io.signal, fault });
  try {
    return (await ask({ target, path, signal: over.signal })).body;
  } catch (error) {
    if (error instanceof Fault && !io.signal.aborted) return undefined;
    throw error;
  } finally {
    over.clear();
  }
}

function objectOf(text: string): JsonObject | undefined {
  try {
    const json: unknown = JSON.parse(text);
    return typeof json === 'object' && json !== null && !Array.isArray(json) ? (json as JsonObject) : undefined;
  } catch {
    // Whatever it is, it is no answer of a sidecar.
    return undefined;
  }
}
