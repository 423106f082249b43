/** Names in messages: what there is, however much that is. */

/** So many are named. */
const MAX_NAMED = 20;

/** The first of them with commas between, and how many there are besides. */
export function named(names: readonly string[]): string {
  const left = names.length - MAX_NAMED;
  const first = names.slice(0, MAX_NAMED).join(", ");
  return left > 0 ? `${first}, and ${left} more` : first;
}
