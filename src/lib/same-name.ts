/** Whether two names are the same but for the case of ASCII letters. `lower` is lower-case. */
// Lengths differ far more often than letters do, and letters at once if at all, so most comparisons cost a few
// integers. `toLowerCase` would make a text for each.
export function sameName(name: string, lower: string): boolean {
  const { length } = name;
  if (length !== lower.length) return false;
  for (let i = 0; i < length; i++) {
    const code = name.charCodeAt(i);
    const wanted = lower.charCodeAt(i);
    if (code !== wanted && (code < 0x41 || code > 0x5a || code + 0x20 !== wanted)) return false;
  }
  return true;
}
