#!/usr/bin/env node
/** The `sallyport` command as a process. */

import { processIo } from './process-io.ts';
import { run } from './run.ts';

process.exitCode = await run(process.argv.slice(2), processIo());
