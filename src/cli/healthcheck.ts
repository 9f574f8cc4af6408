import http from "node:http";
import https from "node:https";
import { connect } from "node:net";
import { parseAddress } from "../model/entry-point.ts";
import type { Settings } from "../model/settings.ts";
import type { Command } from "./command.ts";
import { flagsOfProcess1, settingsOrComplaint } from "./settings.ts";

const TIMEOUT_MS = 4000;

export default {
  name: "healthcheck",
  usage: "[options]",
  summary: "Asks the Waybill that runs with these options whether it is alive.",
  details:
    "Asks /ping where ping is on, and otherwise whether an entry point answers at all. Without options it takes those\n" +
    "of process 1, so that it needs none inside a container. The exit code is 0 if all is well.",
  async run(args, shell) {
    const loaded = settingsOrComplaint(args.length > 0 ? args : flagsOfProcess1(shell), shell);
    if (loaded === undefined) return 1;
    try {
      shell.out(`OK: ${await askHealth(loaded.settings)}\n`);
      return 0;
    } catch (error) {
      shell.err(`Bad health: ${(error as Error).message}\n`);
      return 1;
    }
  },
} satisfies Command;

async function askHealth({ ping, entryPoints }: Settings): Promise<string> {
  const own = ping && entryPoints.get(ping.entryPoint);
  if (own) return askPing(own.http.tls ? "https" : "http", reach(own.address));
  const [first] = entryPoints.values();
  return askAnything(reach(first!.address));
}

interface Spot {
  readonly host: string;
  readonly port: number;
}

// An address of every interface is reached on this machine's own.
function reach(text: string): Spot {
  const { host = "127.0.0.1", port } = parseAddress(text)!;
  return { host: host === "0.0.0.0" || host === "::" ? "127.0.0.1" : host, port };
}

const describe = ({ host, port }: Spot) => `${host.includes(":") ? `[${host}]` : host}:${port}`;

function askPing(scheme: "http" | "https", spot: Spot): Promise<string> {
  const url = `${scheme}://${describe(spot)}/ping`;
  // It asks whether somebody is there, not who it is.
  const options = { timeout: TIMEOUT_MS, agent: false as const, rejectUnauthorized: false };
  return new Promise((resolve, reject) => {
    const call = (scheme === "https" ? https : http).request(url, options, (reply) => {
      reply.resume();
      if (reply.statusCode === 200) resolve(url);
      else reject(new Error(`${url} answered ${reply.statusCode}`));
    });
    call.on("timeout", () => call.destroy(noAnswer()));
    call.on("error", (error) => reject(new Error(`${url}: ${error.message}`)));
    call.end();
  });
}

const noAnswer = () => new Error(`no answer within ${TIMEOUT_MS / 1000} s`);

/** Any byte back shows that the listener's thread lives; TLS entry points refuse plain HTTP, which is an answer too. */
function askAnything(spot: Spot): Promise<string> {
  const where = describe(spot);
  return new Promise((resolve, reject) => {
    const socket = connect({ ...spot });
    socket.setTimeout(TIMEOUT_MS, () => socket.destroy(noAnswer()));
    socket.on("connect", () =>
      socket.write("GET /ping HTTP/1.1\r\nHost: waybill.invalid\r\nConnection: close\r\n\r\n"),
    );
    socket.on("data", () => {
      resolve(where);
      socket.destroy();
    });
    socket.on("close", () => reject(new Error(`${where} closed the connection`)));
    socket.on("error", (error) => reject(new Error(`${where}: ${error.message}`)));
  });
}
