/** The two ends of a connection, as this machine's kernel has them. Who sits at the other one is for others to find out. */

import type { Socket } from 'node:net';

export interface ConnectionEnd {
  /** An IP address. */
  readonly host: string;
  readonly port: number;
}

/** One object for all exchanges of a connection: what is found out about it can be kept by it, for as long as it lives. */
export interface ConnectionEnds {
  /** Absent on a Unix socket. */
  readonly remote?: ConnectionEnd;
  readonly local?: ConnectionEnd;
}

export function connectionEnds({ remoteAddress, remotePort, localAddress, localPort }: Socket): ConnectionEnds {
  return {
    ...(remoteAddress === undefined || remotePort === undefined ? {} : { remote: { host: remoteAddress, port: remotePort } }),
    ...(localAddress === undefined || localPort === undefined ? {} : { local: { host: localAddress, port: localPort } }),
  };
}
