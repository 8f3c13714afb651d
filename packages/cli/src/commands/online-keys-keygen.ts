/** `sallyport online-keys keygen`: the keys that a control plane may hold, made on its own machine. */

import { existsSync } from 'node:fs';
import { certificatePem, generateKey } from '@sallyport/crypto/keys';
import type { Problem } from '@sallyport/model';
import { command } from '../command.ts';
import type { Command } from '../command.ts';
import { at } from '../files.ts';
import { dirOption, homeOf, shownPath } from '../home.ts';
import { duration, required, textOr } from '../option.ts';
import { refusal } from '../output.ts';
import { publicKeyPem } from '../public-key.ts';
import { configYaml } from '../root/config-yaml.ts';
import { makeAdmin, makeCa } from '../root/make-root.ts';
import type { MadeFile, RootOptions } from '../root/make-root.ts';
import { judgeNames, writeHome } from './root-init.ts';

export const onlineKeysKeygen: Command = command({
  name: 'online-keys keygen',
  group: "Signers' tools",
  summary: 'make the keys that a control plane holds, on its own machine, for a production root to list',
  details: [
    'Makes freshness, revocation and audit keys, the workload CA, a configuration and the certificate of the first administrator. Only public halves leave the machine: the CA’s certificate and revocation.pub go into `root draft`, freshness.pub into `online-keys draft`. The files of admin/ go to that person.',
  ],
  options: {
    dir: dirOption,
    trustDomain: required('--trust-domain NAME', 'SPIFFE trust domain of every identity'),
    admin: textOr('--admin NAME', 'name of the first administrator, the author of what it publishes', 'admin'),
    grpc: textOr('--grpc ADDRESS', 'where the control plane listens for gRPC', '127.0.0.1:7443'),
    enrolment: textOr('--enrolment ADDRESS', 'where the control plane listens for enrolment', '127.0.0.1:7445'),
    freshnessTtl: duration('--freshness-ttl SPAN', 'how long sidecars go on without hearing from the control plane', {
      otherwise: '5m',
      minMs: 15_000,
      maxMs: 86_400_000,
    }),
  },
  examples: [{ line: 'online-keys keygen --trust-domain acme.test --admin alice', says: 'before the ceremony of Root 1' }],
  async run({ options, io, out }) {
    const named: readonly Problem[] = judgeNames({ ...options, directoryAttribute: [] });
    if (named.length > 0) return out.refuse({ exit: 2, problems: named });
    const home = homeOf(options.dir, io);
    if (existsSync(home.controlPlane) || existsSync(home.rootPin))
      return out.refuse(refusal(1, `\`${home.dir}\` has the keys of a control plane already`, 'name another folder with --dir'));
    const made = await makeOnline({ ...options, freshnessTtlMs: options.freshnessTtl, now: io.clock.wall(), random: io.random });
    const written = writeHome(home.dir, made, io);
    if (!written.ok) return out.refuse({ exit: 64, problems: [written.error] });
    const files = made.map(({ path }) => path);
    const shown = (name: string): string => shownPath(at(home.controlPlane, name), io);
    await out.answer(
      { dir: home.dir, trust_domain: options.trustDomain, admin: options.admin, files },
      [
        `made the keys of a control plane of ${options.trustDomain} in ${shownPath(home.dir, io)}`,
        `for root draft:        --key revocation=${shown('revocation.pub')} --ca ${shown('workload-ca.crt')}`,
        `for online-keys draft: --key r1=${shown('freshness.pub')}`,
        `for ${options.admin}: admin/`,
      ].join('\n'),
    );
    return 0;
  },
});

async function makeOnline(options: RootOptions): Promise<readonly MadeFile[]> {
  const ca = await makeCa(options);
  const admin = await makeAdmin(ca, options);
  const pair = (name: string): readonly MadeFile[] => {
    const { privatePem, publicRaw } = generateKey('ed25519');
    return [
      { path: `control-plane/${name}.pem`, content: privatePem, isPrivate: true },
      { path: `control-plane/${name}.pub`, content: publicKeyPem(publicRaw), isPrivate: false },
    ];
  };
  return [
    ...['freshness', 'revocation', 'audit'].flatMap(pair),
    { path: 'control-plane/workload-ca.pem', content: ca.privatePem, isPrivate: true },
    { path: 'control-plane/workload-ca.crt', content: certificatePem(ca.certificate), isPrivate: false },
    { path: 'control-plane/config.yaml', content: configYaml({ ...options, hasDirectory: false, isDevelopment: false }), isPrivate: false },
    { path: `admin/${options.admin}.pem`, content: admin.privatePem, isPrivate: true },
    { path: `admin/${options.admin}.crt`, content: admin.chainPem, isPrivate: false },
  ];
}
