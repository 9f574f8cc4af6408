/** Whether two names are the same but for the case of ASCII letters. `lower` is lower-case. */
// Lengths differ far more often than letters do, so most comparisons cost one integer.
export function sameName(name: string, lower: string): boolean {
  return name.length === lower.length && (name === lower || name.toLowerCase() === lower);
}
