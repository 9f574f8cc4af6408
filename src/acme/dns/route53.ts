import { createHash, createHmac } from "node:crypto";
import { AcmeProblem } from "../problem.ts";
import { type ApiCall, callApi, findZone, type ProviderKind, TTL_S } from "./provider.ts";

export const route53: ProviderKind = {
  code: "route53",
  summary: "Amazon Route 53, with an access key.",
  propagationMs: 180_000,
  create(variables, { clock }) {
    const base =
      variables.get("AWS_ENDPOINT_URL_ROUTE_53", "AWS_ENDPOINT_URL") ?? "https://route53.amazonaws.com";
    const credentials = {
      id: variables.need("AWS_ACCESS_KEY_ID"),
      secret: variables.need("AWS_SECRET_ACCESS_KEY"),
      session: variables.get("AWS_SESSION_TOKEN"),
    };
    const fixedZone = variables.get("AWS_HOSTED_ZONE_ID");

    const call = async (method: ApiCall["method"], path: string, body = "") => {
      const url = `${base}/2013-04-01${path}`;
      const headers = sign(method, url, body, credentials, clock.nowMs());
      return (await callApi({ method, url, headers, ...(body !== "" && { body }) })).text;
    };

    const zoneOf = async (name: string) => {
      if (fixedZone !== undefined) return fixedZone;
      const { found } = await findZone(name, async (zone) => {
        const answer = await call("GET", `/hostedzonesbyname?dnsname=${zone}&maxitems=20`);
        for (const [, block = ""] of answer.matchAll(/<HostedZone>(.*?)<\/HostedZone>/gs)) {
          const isPublic = !/<PrivateZone>true/.test(block);
          if (isPublic && block.includes(`<Name>${zone}.</Name>`))
            return /<Id>\/hostedzone\/(\w+)/.exec(block)?.[1];
        }
        return undefined;
      });
      return found;
    };

    const change = async (name: string, edit: (values: readonly string[]) => readonly string[]) => {
      const zone = await zoneOf(name);
      const query = `maxitems=1&name=${name}.&type=TXT`;
      const answer = await call("GET", `/hostedzone/${zone}/rrset?${query}`);
      const before = valuesOf(answer, name);
      const values = edit(before);
      const isGone = values.length === 0;
      if (isGone && before.length === 0) return;
      const body = changeBatch(
        isGone ? "DELETE" : "UPSERT",
        name,
        isGone ? before : values,
        ttlOf(answer, isGone),
      );
      await call("POST", `/hostedzone/${zone}/rrset/`, body);
    };

    return {
      present: ({ name, value }) => change(name, (values) => [...new Set([...values, value])]),
      cleanUp: ({ name, value }) => change(name, (values) => values.filter((one) => one !== value)),
    };
  },
};

function valuesOf(answer: string, name: string): string[] {
  const block = /<ResourceRecordSet>(.*?)<\/ResourceRecordSet>/s.exec(answer)?.[1] ?? "";
  if (!block.includes(`<Name>${name}.</Name>`) || !block.includes("<Type>TXT</Type>")) return [];
  return [...block.matchAll(/<Value>(?:&quot;|")(.*?)(?:&quot;|")<\/Value>/g)].map(([, value]) => value!);
}

// To delete a set it must be described exactly as it is.
const ttlOf = (answer: string, isGone: boolean) =>
  isGone ? Number(/<TTL>(\d+)<\/TTL>/.exec(answer)?.[1] ?? TTL_S) : TTL_S;

function changeBatch(action: string, name: string, values: readonly string[], ttl: number): string {
  if (!values.every((value) => /^[\w.-]*$/.test(value)))
    throw new AcmeProblem("dnsProvider", `${name} has other TXT values, which would be lost`);
  const records = values
    .map((value) => `<ResourceRecord><Value>"${value}"</Value></ResourceRecord>`)
    .join("");
  const set = `<Name>${name}.</Name><Type>TXT</Type><TTL>${ttl}</TTL><ResourceRecords>${records}</ResourceRecords>`;
  const one = `<Change><Action>${action}</Action><ResourceRecordSet>${set}</ResourceRecordSet></Change>`;
  const space = "https://route53.amazonaws.com/doc/2013-04-01/";
  return `<ChangeResourceRecordSetsRequest xmlns="${space}"><ChangeBatch><Changes>${one}</Changes></ChangeBatch></ChangeResourceRecordSetsRequest>`;
}

interface AwsCredentials {
  readonly id: string;
  readonly secret: string;
  readonly session: string | undefined;
}

const REGION = "us-east-1";
const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");
const hmac = (key: string | Buffer, text: string) => createHmac("sha256", key).update(text).digest();

/** AWS Signature Version 4. Route 53 is a global service, signed for one region whatever is set. */
export function sign(
  method: string,
  address: string,
  body: string,
  { id, secret, session }: AwsCredentials,
  nowMs: number,
  service = "route53",
  extra: Readonly<Record<string, string>> = {},
): Record<string, string> {
  const url = new URL(address);
  const stamp = `${new Date(nowMs).toISOString().replace(/[-:]|\.\d+/g, "")}`;
  const day = stamp.slice(0, 8);
  const headers: Record<string, string> = { ...extra, host: url.host, "x-amz-date": stamp };
  if (session !== undefined) headers["x-amz-security-token"] = session;
  const names = Object.keys(headers).sort();
  url.searchParams.sort();
  const lines = names.map((name) => `${name}:${headers[name]}\n`).join("");
  const query = [...url.searchParams].map(([name, value]) => `${encode(name)}=${encode(value)}`).join("&");
  const request = [method, url.pathname, query, lines, names.join(";"), sha256(body)].join("\n");
  const scope = `${day}/${REGION}/${service}/aws4_request`;
  const toSign = ["AWS4-HMAC-SHA256", stamp, scope, sha256(request)].join("\n");
  const key = hmac(hmac(hmac(hmac(`AWS4${secret}`, day), REGION), service), "aws4_request");
  const signature = hmac(key, toSign).toString("hex");
  const { host: _host, ...sent } = headers;
  const authorization = `AWS4-HMAC-SHA256 Credential=${id}/${scope}, SignedHeaders=${names.join(";")}, Signature=${signature}`;
  return { ...sent, authorization };
}

const encode = (text: string) =>
  encodeURIComponent(text).replace(/[!'()*]/g, (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`);
