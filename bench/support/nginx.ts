/** nginx as tool server and as yardstick, each a master with one worker, in a folder of its own under the bench's. */

import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { freePorts } from '../../packages/cli/src/demo/free-port.ts';
import { background, type Child } from './children.ts';
import type { Place } from './cores.ts';
import { ANSWER_BODY } from './policy.ts';

/** `nginx/1.22.1`, or `undefined` where there is none. */
export const nginxVersion: string | undefined = /nginx\/[\d.]+/.exec(spawnSync('nginx', ['-v'], { encoding: 'utf8' }).stderr ?? '')?.[0];

export type Served = Child & { readonly port: number };

/** Answers every request with the tool server's kilobyte. */
export function nginxToolServer(dir: string): Promise<Served> {
  return nginx(
    'load',
    join(dir, 'tool-server'),
    (port) => `
  server { listen 127.0.0.1:${port}; default_type application/json; location / { return 200 '${ANSWER_BODY}'; } }`,
  );
}

/** Passes every request on, over kept-alive connections, without looking at it. */
export function nginxProxy(dir: string, toolServer: number): Promise<Served> {
  return nginx(
    'proxy',
    join(dir, 'proxy'),
    (port) => `
  upstream tools { server 127.0.0.1:${toolServer}; keepalive 256; keepalive_requests 1000000000; }
  server {
    listen 127.0.0.1:${port};
    location / { proxy_pass http://tools; proxy_http_version 1.1; proxy_set_header Connection ""; }
  }`,
  );
}

async function nginx(place: Place, dir: string, servers: (port: number) => string): Promise<Served> {
  mkdirSync(dir, { recursive: true, mode: 0o755 });
  const [port = 0] = await freePorts(1);
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${join(dir, name)};`).join(' ');
  writeFileSync(
    join(dir, 'nginx.conf'),
    `daemon off; worker_processes 1; pid ${join(dir, 'pid')}; error_log ${join(dir, 'error.log')};
${process.getuid?.() === 0 ? 'user root;' : ''}
events { worker_connections 2048; }
http {
  access_log off; ${paths}
  keepalive_requests 1000000000; client_body_buffer_size 16k;${servers(port)}
}
`,
  );
  const child = background(place, ['nginx', '-p', dir, '-c', join(dir, 'nginx.conf')]);
  await listening(port);
  return { ...child, port };
}

async function listening(port: number): Promise<void> {
  for (let tries = 0; ; tries++) {
    const isThere = await new Promise<boolean>((resolve) => {
      const socket = connect({ host: '127.0.0.1', port }, () => resolve(true));
      socket.once('error', () => resolve(false)).once('connect', () => socket.destroy());
    });
    if (isThere) return;
    if (tries > 200) throw new Error('nginx does not listen');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
