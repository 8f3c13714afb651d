/** A container daemon that answers the docker CLI. It is never started here: that is the machine's, or `.ci/run`'s, business. */

import { run, type Running } from './running.ts';

export async function startContainers(): Promise<Running> {
  const version = await run({ file: 'docker', args: ['version', '--format', '{{.Server.Version}}'] });
  return { detail: `docker daemon ${version.trim()}`, address: process.env['DOCKER_HOST'] ?? '', stop: () => Promise.resolve() };
}
