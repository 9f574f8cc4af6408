import { execFile } from "node:child_process";
import { AcmeProblem } from "../problem.ts";
import type { DnsRecord, ProviderKind } from "./provider.ts";

const PATIENCE_MS = 60_000;

export const exec: ProviderKind = {
  code: "exec",
  summary: "A program of your own, called as lego calls it.",
  propagationMs: 60_000,
  create(variables) {
    const program = variables.need("EXEC_PATH");
    const isRaw = variables.get("EXEC_MODE") === "RAW";
    const call = ({ name, value, domain, token, keyAuthorization }: DnsRecord, action: string) => {
      const rest = isRaw ? ["--", domain, token, keyAuthorization] : [`${name}.`, value];
      return new Promise<void>((resolve, reject) => {
        execFile(program, [action, ...rest], { timeout: PATIENCE_MS }, (error, _output, complaint) => {
          if (error === null) return resolve();
          const said = complaint.trim().slice(0, 300) || error.message;
          reject(new AcmeProblem("dnsProvider", `${program} ${action} failed: ${said}`));
        });
      });
    };
    return { present: (record) => call(record, "present"), cleanUp: (record) => call(record, "cleanup") };
  },
};
