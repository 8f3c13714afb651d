/**
 * Stands in for an identity provider while trying things out: one ES256 key in a file, its public half as the key set
 * that the policy pins, and tokens for an operator. Needs nothing but Node.
 *
 *   node operator.mjs keys     makes operator.key (once) and prints the key set
 *   node operator.mjs token    prints a token that is good for five minutes
 */

import { createPrivateKey, createPublicKey, generateKeyPairSync, randomUUID, sign } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const KEY_FILE = join(import.meta.dirname, 'operator.key');
const [command] = process.argv.slice(2);

if (!existsSync(KEY_FILE)) {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  writeFileSync(KEY_FILE, privateKey.export({ format: 'pem', type: 'pkcs8' }), { mode: 0o600 });
}
const privateKey = createPrivateKey(readFileSync(KEY_FILE, 'utf8'));

if (command === 'keys') {
  const { x, y } = createPublicKey(privateKey).export({ format: 'jwk' });
  const key = { kid: 'operator-1', kty: 'EC', crv: 'P-256', x, y, use: 'sig', alg: 'ES256' };
  process.stdout.write(`${JSON.stringify({ keys: [key] }, undefined, 2)}\n`);
} else if (command === 'token') {
  const iat = Math.floor((performance.timeOrigin + performance.now()) / 1000);
  const claims = {
    iss: 'https://operators.example',
    aud: 'sallyport',
    sub: 'me@operators.example',
    tenant_id: 'example',
    roles: ['member'],
    jti: randomUUID(),
    iat,
    exp: iat + 300,
  };
  const encode = (json) => Buffer.from(JSON.stringify(json)).toString('base64url');
  const input = `${encode({ alg: 'ES256', typ: 'JWT', kid: 'operator-1' })}.${encode(claims)}`;
  const signature = sign('sha256', Buffer.from(input), { key: privateKey, dsaEncoding: 'ieee-p1363' });
  process.stdout.write(`${input}.${signature.toString('base64url')}\n`);
} else {
  process.stderr.write('node operator.mjs keys | token\n');
  process.exitCode = 2;
}
