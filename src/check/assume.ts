import type { FoundFile } from "../providers/file/files.ts";
import type { ComposeService } from "./compose.ts";

/**
 * The flags of a Waybill that the files do not show: it has every entry point and every certificates resolver that
 * they name, so that nothing is said of what cannot be known.
 */
export function assumedFlags(services: readonly ComposeService[], files: readonly FoundFile[]): string[] {
  const entryPoints = new Set<string>();
  const resolvers = new Set<string>();
  const take = (key: string, value: string) => {
    if (/\.entrypoints$/i.test(key)) for (const name of value.split(",")) entryPoints.add(name.trim());
    if (/\.certresolver$/i.test(key)) resolvers.add(value.trim());
  };
  for (const { labels } of services) for (const { key, value } of labels) take(key, value);
  for (const { text = "" } of files) {
    for (const [, name, value] of text.matchAll(
      /\b(entryPoints|certResolver)"?\s*[:=]\s*(.*(?:\n\s+-.*)*)/gi,
    )) {
      for (const [word] of value!.matchAll(/[\w-]*\w/g)) take(`.${name}`, word);
    }
  }
  if (entryPoints.size === 0) entryPoints.add("web");
  // Ports that tell them apart; nothing listens.
  const ports = new Map([
    ["web", 80],
    ["http", 80],
    ["websecure", 443],
    ["https", 443],
  ]);
  const flags = [...entryPoints]
    .filter((name) => /^[\w-]+$/.test(name))
    .map((name, i) => `--entryPoints.${name}.address=:${ports.get(name) ?? 10_000 + i}`);
  const resolving = [...resolvers]
    .filter((name) => /^[\w-]+$/.test(name) && name !== "internal")
    .map((name) => `--certificatesResolvers.${name}.acme.tlsChallenge=true`);
  return [...new Set(flags), ...resolving, "--providers.docker=true", "--api=true"];
}
