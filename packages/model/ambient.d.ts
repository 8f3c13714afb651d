/**
 * The few platform names that pure packages may use. They compile without Node and DOM types, so anything
 * not declared here (files, sockets, clocks, the environment) is a compile error there.
 */

interface AbortSignal {
  readonly aborted: boolean;
  readonly reason: unknown;
  addEventListener(type: 'abort', listener: () => void, options?: { once?: boolean }): void;
  removeEventListener(type: 'abort', listener: () => void): void;
}

declare class TextEncoder {
  encode(input?: string): Uint8Array<ArrayBuffer>;
  encodeInto(source: string, destination: Uint8Array): { read: number; written: number };
}

declare class TextDecoder {
  constructor(label?: string, options?: { fatal?: boolean; ignoreBOM?: boolean });
  decode(input?: Uint8Array, options?: { stream?: boolean }): string;
}

/** A type only: library declarations name it, and pure code must not construct one (it is not a strict parser). */
interface URL {
  readonly href: string;
}
