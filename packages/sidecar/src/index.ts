/** The sidecar: `run` is the command, `compose` the process for tests that hold its clock. */

export type { SeenDecision, Since } from './admin/decisions.ts';
export type { Anchors } from './anchors.ts';
export { readAnchors } from './anchors.ts';
export type { Sidecar, Surroundings } from './compose.ts';
export { compose } from './compose.ts';
export type { SidecarConfig } from './config.ts';
export { SIDECAR_CONFIG } from './config.ts';
export type { UnmetWhy, Why } from './pipeline/ports.ts';
export type { Io } from './run.ts';
export { BUILD, run } from './run.ts';
