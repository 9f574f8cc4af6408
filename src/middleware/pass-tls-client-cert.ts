import { X509Certificate } from "node:crypto";
import { removeAliases } from "../model/headers.ts";
import { middleware } from "../model/middleware.ts";
import { group } from "../schema/composites.ts";
import { bool } from "../schema/kinds.ts";
import type { Values } from "../schema/option.ts";

const CERT = "X-Forwarded-Tls-Client-Cert";
const INFO = "X-Forwarded-Tls-Client-Cert-Info";

const nameOptions = {
  country: bool({ doc: "Country.", default: "false" }),
  province: bool({ doc: "Province.", default: "false" }),
  locality: bool({ doc: "Locality.", default: "false" }),
  organization: bool({ doc: "Organization.", default: "false" }),
  commonName: bool({ doc: "Common name.", default: "false" }),
  serialNumber: bool({ doc: "Serial number in the name.", default: "false" }),
  domainComponent: bool({ doc: "Domain components.", default: "false" }),
};

const subjectOptions = {
  ...nameOptions,
  organizationalUnit: bool({ doc: "Organizational unit.", default: "false" }),
};

const infoOptions = {
  notAfter: bool({ doc: "When it ends.", default: "false" }),
  notBefore: bool({ doc: "When it begins.", default: "false" }),
  sans: bool({ doc: "Alternative names.", default: "false" }),
  serialNumber: bool({ doc: "Its serial number.", default: "false" }),
  subject: group(subjectOptions)({ doc: "Whom it is for." }),
  issuer: group(nameOptions)({ doc: "Who signed it." }),
};

export default middleware({
  name: "passTLSClientCert",
  summary: "Tells the application about the client's TLS certificate.",

  options: {
    pem: bool({ doc: "Send the certificates themselves.", default: "false" }),
    info: group(infoOptions)({ doc: "Send what is in them." }),
  },

  create({ pem, info }) {
    // Certificates are those of the connection, so what is made of them is made once.
    const made = new WeakMap<object, { readonly cert: string; readonly info: string }>();
    return {
      onRequest(exchange) {
        removeAliases(exchange.headers, CERT.toLowerCase());
        removeAliases(exchange.headers, INFO.toLowerCase());
        const { tls } = exchange.connection;
        if (tls === undefined) return undefined;
        let headers = made.get(tls);
        if (headers === undefined) {
          const certificates = readCertificates(tls.peerCertificates());
          headers = {
            cert: pem ? certificates.map(({ raw }) => raw.toString("base64")).join(",") : "",
            info:
              info === undefined ? "" : queryEscape(certificates.map((one) => describe(one, info)).join(",")),
          };
          made.set(tls, headers);
        }
        if (headers.cert !== "") exchange.headers.push(CERT, headers.cert);
        if (headers.info !== "") exchange.headers.push(INFO, headers.info);
        return undefined;
      },
    };
  },
});

/** What the TLS library accepted but does not parse is no certificate that anyone should rely on. */
function readCertificates(ders: readonly Buffer[]): X509Certificate[] {
  try {
    return ders.map((der) => new X509Certificate(der));
  } catch {
    return [];
  }
}

function describe(certificate: X509Certificate, info: Values<typeof infoOptions>): string {
  const parts: string[] = [];
  const put = (name: string, value: string) => value !== "" && parts.push(`${name}="${value}"`);
  if (info.subject) put("Subject", distinguishedName(certificate.subject, info.subject));
  if (info.issuer) put("Issuer", distinguishedName(certificate.issuer, info.issuer));
  if (info.serialNumber) put("SerialNumber", String(BigInt(`0x${certificate.serialNumber}`)));
  if (info.notBefore) put("NB", unixSeconds(certificate.validFrom));
  if (info.notAfter) put("NA", unixSeconds(certificate.validTo));
  if (info.sans) put("SAN", alternativeNames(certificate.subjectAltName ?? "").join(","));
  return parts.join(";");
}

const unixSeconds = (date: string) => String(Math.floor(Date.parse(date) / 1000));

// In Traefik's order.
const ATTRIBUTES = [
  ["domainComponent", "DC", "DC"],
  ["country", "C", "C"],
  ["province", "ST", "ST"],
  ["locality", "L", "L"],
  ["organization", "O", "O"],
  ["organizationalUnit", "OU", "OU"],
  ["serialNumber", "serialNumber", "SN"],
  ["commonName", "CN", "CN"],
] as const;

function distinguishedName(written: string, wanted: Partial<Values<typeof subjectOptions>>): string {
  const lines = (written ?? "").split("\n").flatMap((line) => line.split(" + "));
  return ATTRIBUTES.filter(([option]) => wanted[option] === true)
    .flatMap(([, key, shown]) =>
      lines
        .filter((line) => line.startsWith(`${key}=`))
        .map((line) => `${shown}=${unescapeName(line.slice(key.length + 1))}`),
    )
    .join(",");
}

/** OpenSSL's escapes of RFC 2253: `\,` and `\0A`. */
function unescapeName(text: string): string {
  return text.replace(/\\([0-9A-Fa-f]{2})|\\(.)/g, (_all, hex: string | undefined, letter: string) =>
    hex === undefined ? letter : String.fromCharCode(Number.parseInt(hex, 16)),
  );
}

const KINDS = ["DNS", "email", "IP Address", "URI"];

function alternativeNames(written: string): string[] {
  // A name with a comma in it stands in quotes, as JSON.
  const names = [...written.matchAll(/(DNS|email|IP Address|URI):(?:("(?:[^"\\]|\\.)*")|([^,]*))/g)];
  return names
    .map(([, kind, quoted, bare]) => ({
      kind: kind!,
      name: quoted ? (JSON.parse(quoted) as string) : bare!.trim(),
    }))
    .sort((a, b) => KINDS.indexOf(a.kind) - KINDS.indexOf(b.kind))
    .map(({ name }) => name);
}

/** Go's `url.QueryEscape`. */
function queryEscape(text: string): string {
  return encodeURIComponent(text)
    .replaceAll("%20", "+")
    .replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
}
