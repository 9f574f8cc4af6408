/** The name in a Set-Cookie value. */
export function cookieName(setCookie: string): string {
  const end = setCookie.search(/[=;]/);
  return (end < 0 ? setCookie : setCookie.slice(0, end)).trim();
}
