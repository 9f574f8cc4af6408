import { connect } from "node:net";
import type { Clock } from "../clock.ts";
import { AcmeProblem } from "../problem.ts";
import {
  digestOf,
  type Outgoing,
  rcodeName,
  readAnswer,
  soaQuery,
  type TsigKey,
  TYPE,
  update,
} from "./message.ts";
import { type DnsRecord, findZone, type ProviderKind, TTL_S, type Variables } from "./provider.ts";

const PATIENCE_MS = 10_000;

export const rfc2136: ProviderKind = {
  code: "rfc2136",
  summary: "Any name server that takes signed dynamic updates: bind9, Knot, PowerDNS.",
  propagationMs: 60_000,
  create(variables, { clock }) {
    const server = readServer(variables.need("RFC2136_NAMESERVER"));
    const key = readKey(variables);

    const change = async ({ name, value }: DnsRecord, action: "add" | "remove") => {
      const { zone } = await findZone(name, (candidate) => ownsZone(server, candidate, key, clock));
      const sent = update(zone, { action, name, value, ttlS: TTL_S }, key, clock.nowMs());
      const { rcode } = await ask(server, sent, key);
      if (rcode !== 0)
        throw new AcmeProblem("dnsProvider", `the name server did not change ${name}: ${rcodeName(rcode)}`);
    };
    return { present: (record) => change(record, "add"), cleanUp: (record) => change(record, "remove") };
  },
};

interface Server {
  readonly host: string;
  readonly port: number;
}

function readServer(text: string): Server {
  const [, v6, host, port] = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d+))?$/.exec(text) ?? [];
  const name = v6 ?? host;
  if (name === undefined) throw new Error(`RFC2136_NAMESERVER must be host or host:port, not ${text}`);
  return { host: name, port: Number(port ?? 53) };
}

function readKey(variables: Variables): TsigKey | undefined {
  const name = variables.get("RFC2136_TSIG_KEY");
  if (name === undefined) return undefined;
  const secret = Buffer.from(variables.need("RFC2136_TSIG_SECRET"), "base64");
  const algorithm = (variables.get("RFC2136_TSIG_ALGORITHM") ?? "hmac-sha256")
    .replace(/\.$/, "")
    .toLowerCase();
  digestOf({ algorithm });
  return { name, algorithm, secret };
}

async function ownsZone(server: Server, name: string, key: TsigKey | undefined, clock: Clock) {
  const { rcode, answers } = await ask(server, soaQuery(name, key, clock.nowMs()), key);
  return rcode === 0 && answers.includes(TYPE.SOA) ? name : undefined;
}

/** One question over TCP, which needs no thought about sizes and lost packets. */
function ask({ host, port }: Server, sent: Outgoing, key: TsigKey | undefined) {
  return new Promise<ReturnType<typeof readAnswer>>((resolve, reject) => {
    const fail = (what: string) => {
      socket.destroy();
      reject(new AcmeProblem("dnsProvider", `the name server ${host}:${port}: ${what}`));
    };
    const socket = connect({ host, port, timeout: PATIENCE_MS });
    const prefix = Buffer.from([sent.bytes.length >> 8, sent.bytes.length & 0xff]);
    let received = Buffer.alloc(0);
    socket.on("connect", () => socket.write(Buffer.concat([prefix, sent.bytes])));
    socket.on("timeout", () => fail("no answer in time"));
    socket.on("error", (error) => fail(error.message));
    socket.on("close", () => fail("it hung up"));
    socket.on("data", (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      if (received.length < 2 || received.length < 2 + received.readUInt16BE(0)) return;
      try {
        resolve(readAnswer(received.subarray(2, 2 + received.readUInt16BE(0)), sent, key));
        socket.destroy();
      } catch (error) {
        fail((error as Error).message);
      }
    });
  });
}
