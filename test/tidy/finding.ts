/** What a check of the tree reports: where, what, why it matters, what to do instead. */

export interface SourceFile {
  /** Relative to the repository's root, with forward slashes. */
  readonly path: string;
  readonly text: string;
}

export interface Finding {
  /** `path` or `path:line`. */
  readonly where: string;
  readonly what: string;
  readonly why: string;
  readonly instead: string;
}

/** A check sees the whole tree at once, so that it can judge by memory alone and be tested on a bad sample. */
export type Check = (files: readonly SourceFile[]) => readonly Finding[];

/** The text of a failure. */
export function inWords({ where, what, why, instead }: Finding): string {
  return `${where}: ${what}\n  why: ${why}\n  instead: ${instead}`;
}

/** TypeScript that ships: sources of packages, without tests, generated code and the testkit. */
export function isProduct(path: string): boolean {
  return /^packages\/[^/]+\/src\/.*\.ts$/.test(path) && !isTest(path) && !isGenerated(path) && !path.startsWith('packages/testkit/');
}

/** Tests, and what a package's tests share in `src/testing/`, which is not built. */
export function isTest(path: string): boolean {
  return path.endsWith('.test.ts') || path.includes('/src/testing/');
}

export function isGenerated(path: string): boolean {
  return path.startsWith('packages/contract/src/gen/');
}

/** Lines of a file with their numbers from 1. */
export function linesOf(text: string): readonly { readonly line: string; readonly number: number }[] {
  return text.split('\n').map((line, index) => ({ line, number: index + 1 }));
}

/** Whether the line is comment alone; code rules pass over it, so that a comment may name what it forbids. */
export function isComment(line: string): boolean {
  return /^\s*(\/\/|\/\*|\*)/.test(line);
}
