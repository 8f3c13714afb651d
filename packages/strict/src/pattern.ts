/** Patterns that match in linear time: the regular expressions that both RE2 and ECMA-262 (`u` flag) accept. */

import { Bug } from '@sallyport/model';
import type { Result } from '@sallyport/model';

export interface Pattern {
  readonly source: string;
  /** Whether it matches anywhere in `text` (anchors are the author's to write), in time linear in the text's length. */
  test(text: string): boolean;
}

export interface PatternProblem {
  readonly message: string;
  /** In UTF-16 code units of the source. */
  readonly offset: number;
}

/** Compiles a pattern, or says what it may not use: look-around, back-references, flags, more than it may repeat. */
export function compilePattern(_source: string): Result<Pattern, PatternProblem> {
  throw new Bug('to come');
}
