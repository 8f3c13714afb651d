/**
 * Loaded before every script (`node --import`), in plain JavaScript, because a Node that is too old cannot even read
 * the TypeScript that would complain. `npm run` puts node_modules/.bin first, where npm has installed the pinned Node.
 */

const FLOOR = 24;

if (Number(process.versions.node.split('.')[0]) < FLOOR) {
  process.stderr.write(
    `sallyport needs Node ${FLOOR} or later, and this is ${process.version} (${process.execPath}).\n` +
      'npm ci installs a Node 26 for this repository alone, as an optional dependency; so either\n' +
      '  run npm ci again without --omit=optional, and use npm run / npm test, or\n' +
      `  on a platform that package does not serve, install Node ${FLOOR} or later yourself.\n`,
  );
  process.exit(1);
}
