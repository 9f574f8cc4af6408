import { FileProvider } from "../providers/file/provider.ts";
import type { ProviderHost, RunningProvider } from "./docker.ts";

export function startFiles({
  settings,
  registry,
  log,
  env,
  secret,
  publish,
}: ProviderHost): RunningProvider | undefined {
  const { file } = settings.providers;
  if (file === undefined) return undefined;
  const environment = new Map(
    Object.entries(env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
  const provider = new FileProvider(file, {
    registry,
    secret,
    template: { environment, nowMs: Date.now },
    log,
    publish,
  });
  log.info({ provider: "file", path: file.directory || file.filename }, file.watch ? "watching" : "reading");
  provider.start();
  return { reload: () => provider.reload(), close: () => provider.close() };
}
