/** Fakes for ports, builders, simulators and attack tools; for tests only. */

export { fakeClock } from './fake-clock.ts';
export type { FakeClock } from './fake-clock.ts';
export { everyPowerLoss, PowerLost, simulatedDisk, SURVIVALS } from './simulated-disk.ts';
export type { DiskFailure, DiskOperation, Moment, SimulatedDisk, Survival } from './simulated-disk.ts';
