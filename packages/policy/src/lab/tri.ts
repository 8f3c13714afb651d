/** Yes, no, or what would have to be known: answers to questions about a call of which only a part was recorded. */

/** A list, never empty, names what was not recorded. */
export type Tri = boolean | readonly string[];

/** No where one says no, whatever the others would need. */
export function all(answers: readonly Tri[]): Tri {
  if (answers.includes(false)) return false;
  return missingOf(answers) ?? true;
}

/** Yes where one says yes, whatever the others would need. */
export function any(answers: readonly Tri[]): Tri {
  if (answers.includes(true)) return true;
  return missingOf(answers) ?? false;
}

export function not(answer: Tri): Tri {
  return typeof answer === 'boolean' ? !answer : answer;
}

function missingOf(answers: readonly Tri[]): readonly string[] | undefined {
  const missing = answers.flatMap((answer) => (typeof answer === 'boolean' ? [] : answer));
  return missing.length === 0 ? undefined : [...new Set(missing)].toSorted();
}
