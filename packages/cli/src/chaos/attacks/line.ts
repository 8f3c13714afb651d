/** Attacks by whoever holds the line or the control plane's power switch: nothing is forged, words are withheld. */

import type { Attack } from '../attack.ts';
import { clerk } from '../subject.ts';
import { ALLOWED, takeEnd, takeRecovery, watchUntilRefused } from '../watch.ts';

export const partition: Attack = {
  name: 'partition',
  does: 'kills the control plane with SIGKILL, and starts it again later',
  leaves: 'deny, from the ttl on: not ready, and gone in `fleet status`',
  ttl: 'short',
  async stage(scene) {
    const { ground, steps, io } = scene;
    await ground.killControlPlane();
    const watched = await watchUntilRefused(scene, io.clock.boot());
    steps.take({ name: 'calls go on without it', expected: 'allowed', seen: watched.allowed > 0 ? 'allowed' : watched.end });
    await takeEnd(scene, watched);
    await ground.startControlPlane();
    await takeRecovery(scene);
  },
};

export const freeze: Attack = {
  name: 'freeze',
  does: 'keeps the connection open and lets nothing through, while a person is revoked',
  leaves: 'withhold an update for one ttl, then deny: not ready, and gone in `fleet status`',
  ttl: 'short',
  async stage(scene) {
    const { ground, subject, steps, io } = scene;
    const mallory = clerk('mallory');
    steps.take({ name: 'before', expected: ALLOWED, seen: await subject.read(mallory) });
    subject.line.hold();
    const since = io.clock.boot();
    const { exit } = await ground.type(['revoke', 'principal', 'mallory', '--ban', '--reason', 'chaos']);
    steps.take({ name: 'revoked at the control plane', expected: 'yes', seen: exit === 0 ? 'yes' : `exit ${exit}` });
    await takeEnd(scene, await watchUntilRefused(scene, since));
    subject.line.leadTo(ground.grpcPort);
    await takeRecovery(scene);
    steps.take({ name: 'the revocation is not lost', expected: '401 token_revoked', seen: await subject.read(mallory) });
  },
};
