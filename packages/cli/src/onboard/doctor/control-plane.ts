/** The control plane: its configuration, its ports, and what it answers to an administrator. */

import { StatusRequestSchema, create } from '@sallyport/contract';
import type { StatusResponse } from '@sallyport/contract';
import { parseListenAddress, readConfig } from '@sallyport/runtime';
import { SIGNER_SKEW_MS } from '@sallyport/trust';
import { openLink } from '../../connect.ts';
import type { Link, LinkOptions } from '../../connect.ts';
import type { Io } from '../../io.ts';
import { counted } from '../../output.ts';
import { shownPath } from '../../home.ts';
import { failed, failedOf, shownLeft, warned, well } from './check.ts';
import type { Check } from './check.ts';
import { holderOf, judgeDisk, judgeStateFolder } from './machine.ts';
import { isListening, judgePort } from './ports.ts';

const ANSWER_MS_MAX = 5_000;
const SKEW_WARN_MS = 5_000;

/** A configuration file: what of it does not hold, else its ports and its state folder. */
export async function judgeControlPlaneConfig(file: string, io: Io): Promise<readonly Check[]> {
  const subject = 'control plane';
  const { CONTROL_PLANE_CONFIG } = await import('@sallyport/control-plane');
  const config = readConfig(CONTROL_PLANE_CONFIG, { file });
  if (!config.ok) return config.error.map((problem) => failedOf(`${subject} config`, { file, ...problem }));
  const { listen, state_dir: stateDir } = config.value;
  const holder = holderOf(stateDir);
  const ports = [
    { key: 'listen.grpc', address: listen.grpc },
    { key: 'listen.enrolment', address: listen.enrolment },
    ...(listen.health === undefined ? [] : [{ key: 'listen.health', address: listen.health }]),
  ];
  const judged = await Promise.all(ports.map(async (port) => judgePort(`${subject} port`, { ...port, holder }, io)));
  return [
    well(`${subject} config`, shownPath(file, io)),
    ...judgeStateFolder(`${subject} state`, stateDir),
    judgeDisk(`${subject} disk`, stateDir),
    ...judged.flat(),
    holder === undefined
      ? warned(subject, 'does not run', `sallyport control-plane --config ${shownPath(file, io)}`)
      : well(subject, `runs as process ${holder}`),
  ];
}

/** What it says to an administrator with the certificate in the folder; nothing where nobody is to be expected there. */
export async function judgeControlPlane(options: LinkOptions, io: Io): Promise<readonly Check[]> {
  const subject = 'control plane answers';
  const link = await openLink(options, io);
  if (!link.ok) return link.error.problems.map((problem) => failedOf(subject, problem));
  try {
    return await judgeAnswer(link.value, options, io);
  } finally {
    link.value.close();
  }
}

async function judgeAnswer(link: Link, options: LinkOptions, io: Io): Promise<readonly Check[]> {
  const subject = 'control plane answers';
  const address = parseListenAddress(link.address);
  if (address !== undefined && !(await isListening(address, io))) {
    const says = `nobody listens at ${link.address}`;
    // Who names an address expects an answer there.
    return options.controlPlane === undefined
      ? []
      : [failed(subject, says, 'start it there, or name another address with --control-plane')];
  }
  const before = io.clock.wall();
  const status = await link.fleet.status(create(StatusRequestSchema, {}), { deadlineMs: ANSWER_MS_MAX, signal: io.signal });
  const after = io.clock.wall();
  if (status.ok)
    return [answered(link, status.value), judgeSkew(Number(status.value.nowMs), { before, after }), ...judgeFleet(status.value)];
  const { code, message } = status.error;
  if (code === 'unauthenticated' || code === 'permission_denied')
    return [
      failed(
        subject,
        `${link.address} does not accept the certificate in admin/`,
        'was the root made anew? the control plane has to be of the same',
      ),
    ];
  return [
    failed(
      subject,
      `what listens at ${link.address} does not prove to be the control plane of this root: ${message}`,
      'is it another root, another program, or are the clocks apart?',
    ),
  ];
}

function answered(link: Link, { releaseSeq, sidecars }: StatusResponse): Check {
  const release = releaseSeq === 0n ? 'nothing is released yet' : `release ${releaseSeq}`;
  return well(
    'control plane answers',
    `${link.address}, as spiffe://${link.trust.root.trustDomain}/control-plane: ${release}, ${counted(sidecars.length, 'sidecar')}`,
  );
}

/** How far this clock is off, give or take the time that the answer took. */
function judgeSkew(there: number, { before, after }: { readonly before: number; readonly after: number }): Check {
  const subject = 'clocks';
  const off = there < before ? before - there : there > after ? there - after : 0;
  const says = off === 0 ? 'agree with the control plane' : `${shownLeft(off)} apart from the control plane`;
  if (off >= SIGNER_SKEW_MS)
    return failed(subject, says, 'set the clock of this machine (NTP): beyond half a minute nothing signed is believed');
  return off >= SKEW_WARN_MS ? warned(subject, says, 'set the clock of this machine (NTP)') : well(subject, says);
}

function judgeFleet({ sidecars }: StatusResponse): readonly Check[] {
  const away = sidecars.filter(({ connected }) => !connected).map(({ agent, instance }) => `${agent}/${instance}`);
  const drifted = sidecars.filter((one) => one.connected && one.drifted).map(({ agent, instance }) => `${agent}/${instance}`);
  return [
    ...(away.length === 0
      ? []
      : [warned('fleet', `not connected: ${away.slice(0, 5).join(', ')}${away.length > 5 ? ', …' : ''}`, 'sallyport fleet status')]),
    ...(drifted.length === 0
      ? []
      : [warned('fleet', `enforces another release: ${drifted.slice(0, 5).join(', ')}`, 'sallyport fleet status says why')]),
  ];
}
