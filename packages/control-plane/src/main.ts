/** Entry of the control plane as its own process: `node main.ts --config FILE`. Everything it does is in `run.ts`. */

import { run } from './run.ts';

const io = { stdout: (text: string) => process.stdout.write(text), stderr: (text: string) => process.stderr.write(text) };

process.exitCode = await run(process.argv.slice(2), io);
