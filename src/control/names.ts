/** `app` said by docker is `app@docker`; `app@file` stays what it is. */
export function qualify(name: string, provider: string): string {
  return name.includes("@") ? name : `${name}@${provider}`;
}

/** `docker` of `app@docker`. */
export function providerOf(name: string): string {
  return name.slice(name.lastIndexOf("@") + 1);
}

/** `websecure-app@docker`. */
export function prefixed(prefix: string, name: string): string {
  return `${prefix}-${name}`;
}
