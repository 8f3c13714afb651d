#!/usr/bin/env node
/** The `sallyport` command as a process. */

import { processIo } from './process-io.ts';
import { run } from './run.ts';

const exit = await run(process.argv.slice(2), processIo());
for (const stream of [process.stdout, process.stderr]) await new Promise((resolve) => stream.write('', resolve));
// The answer is out and everything of ours is closed. Left to end by itself, the runtime takes its handles down first, and does
// not come to an end of it where a peer was killed in the middle of a TLS write.
process.exit(exit);
