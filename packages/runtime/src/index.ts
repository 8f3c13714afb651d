/** What every process needs of its machine: time, randomness, disk, configuration, bounded queues, an orderly end. */

export { bootClock, systemClock } from './clock.ts';
export type { BootSources } from './clock.ts';
export { systemRandom } from './random.ts';
export { ulids } from './ulid.ts';
export { deadline, delay, orAborted } from './delay.ts';
export type { Deadline } from './delay.ts';
export { backoff } from './backoff.ts';
export type { Backoff } from './backoff.ts';
export { boundedQueue } from './bounded-queue.ts';
export type { BoundedQueue } from './bounded-queue.ts';
export { latest } from './latest.ts';
export type { Latest } from './latest.ts';
export { roster } from './roster.ts';
export type { Roster, Seat } from './roster.ts';
export { bytesAccount } from './bytes-account.ts';
export type { BytesAccount, HeldBytes } from './bytes-account.ts';
export { giveBackMemory } from './heap.ts';
export { createDrain } from './drain.ts';
export type { Drain, DrainReport } from './drain.ts';
export { onTermination } from './signals.ts';
export type { SignalSource } from './signals.ts';
export { processEnvironment } from './environment.ts';
export { diskErrorCode, diskFault, realFileSystem } from './file-system.ts';
export type { DiskFile, FileSystem, OpenMode } from './file-system.ts';
export { makeFolders } from './make-folders.ts';
export { writeFileAtomically } from './atomic-file.ts';
export { lockState, stateHolder } from './state-lock.ts';
export {
  bytes,
  choice,
  count,
  dialAddress,
  durationMs,
  filePath,
  flag,
  formatListenAddress,
  listenAddress,
  listOf,
  optional,
  origin,
  parseDialAddress,
  parseListenAddress,
  section,
  text,
} from './config-fields.ts';
export type { DialAddress, Field, FieldNotes, ListenAddress, Read, Shape } from './config-fields.ts';
export { environmentName } from './config-keys.ts';
export { readConfig, readConfigText } from './config.ts';
export type { ConfigSources } from './config.ts';
export { describeConfig } from './config-reference.ts';
export type { ConfigReference } from './config-reference.ts';
