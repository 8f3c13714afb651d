/** The control plane as a part: its configuration, its composition for tests, and its process for the command line. */

export { run } from './run.ts';
export type { Io } from './run.ts';
export { CONTROL_PLANE_CONFIG } from './config.ts';
export type { ControlPlaneConfig } from './config.ts';
export { compose } from './compose.ts';
export type { ComposeOptions, ControlPlane, ControlPlaneAddress } from './compose.ts';
export { AUTHORIZATION } from './authorization.ts';
export type { Admitted } from './authorization.ts';
