import { nameOnly as gone, group, list, mapOf } from "../schema/composites.ts";
import { bool, choice, count, duration, text } from "../schema/kinds.ts";
import type { Values } from "../schema/option.ts";

/** Who gets certificates, and how. */

const eab = group({
  kid: text({ doc: "Key id that the CA gave you.", default: "" }),
  hmacEncoded: text({ doc: "The key that belongs to it, in base64url.", default: "", secret: true }),
});

const dnsChallenge = group(
  {
    provider: text({ doc: "Who runs the zone.", default: "", example: "cloudflare" }),
    credentials: mapOf(text)({
      doc: "The provider's variables for this resolver alone; those missing here come from the environment.",
      secret: true,
      added: true,
      example: "file:/run/secrets/cf_token",
    }),
    resolvers: list(text)({ doc: "DNS servers to ask, instead of the system's.", example: "1.1.1.1:53" }),
    propagation: group(
      {
        delayBeforeChecks: duration({ doc: "Wait before the first check.", default: "0" }),
        disableChecks: bool({ doc: "Do not check, only wait.", default: "false" }),
        disableANSChecks: bool({ doc: "Do not ask the authoritative servers.", default: "false" }),
        requireAllRNS: bool({ doc: "All recursive servers must have the record.", default: "false" }),
      },
      { enabler: true },
    )({ doc: "How we know that the record is out.", always: true }),
    delayBeforeCheck: duration({ doc: "Old name of propagation.delayBeforeChecks." }),
    disablePropagationCheck: bool({ doc: "Old name of propagation.disableChecks." }),
  },
  { enabler: true },
);

export const acmeOptions = {
  email: text({ doc: "Where the CA reaches you.", default: "" }),
  caServer: text({
    doc: "Directory of the CA.",
    default: "https://acme-v02.api.letsencrypt.org/directory",
  }),
  fallbackServers: list(text)({
    doc: "Directories of CAs to turn to, in order, while the first keeps failing.",
    added: true,
  }),
  fallbackEab: list(eab)({ doc: "External accounts with those CAs, in the same order.", added: true }),
  stagingServer: text({
    doc: "Directory where a name that keeps failing must succeed first; known by itself for Let's Encrypt.",
    default: "",
    added: true,
  }),
  preflight: bool({
    doc: "Look whether a name leads here before the CA is asked.",
    default: "true",
    added: true,
  }),
  storage: text({
    doc: "Directory that keeps accounts and certificates. A Traefik acme.json named here is imported.",
    default: "acme.json",
  }),
  keyType: choice(
    "EC256",
    "EC384",
    "RSA2048",
    "RSA4096",
    "RSA8192",
  )({ doc: "Kind of the certificates' keys.", default: "EC256", forgiving: true }),
  preferredChain: text({
    doc: "Common name of the issuer to prefer, where the CA offers several.",
    default: "",
  }),
  profile: text({ doc: "Profile to ask for, where the CA has them.", default: "", example: "shortlived" }),
  emailAddresses: list(text)({ doc: "E-mail addresses put into the request." }),
  disableCommonName: bool({
    doc: "Leave the common name out of the request.",
    default: "false",
    obsolete: "it is always left out: the names of a certificate are its alternative names",
  }),
  eab: eab({ doc: "External account binding." }),
  certificatesDuration: count({
    doc: "Hours that certificates live.",
    default: "2160",
    obsolete: "every certificate says itself how long it lives, and is renewed by that",
  }),
  clientTimeout: duration({ doc: "How long one call to the CA may take.", default: "2m" }),
  clientResponseHeaderTimeout: duration({ doc: "How long its answer may take to begin.", default: "30s" }),
  certificateTimeout: duration({ doc: "How long the CA may take to issue.", default: "30s" }),
  caCertificates: list(text)({ doc: "Authorities that are trusted for the CA itself: paths, or PEM." }),
  caSystemCertPool: bool({ doc: "Trust the system's authorities beside them.", default: "false" }),
  caServerName: text({ doc: "Name that the CA's own certificate must have.", default: "" }),
  httpChallenge: group(
    {
      entryPoint: text({ doc: "Entry point that the CA reaches on port 80.", default: "" }),
      delay: duration({ doc: "Wait before the CA is told.", default: "0" }),
    },
    { enabler: true },
  )({ doc: "Prove a name by a page." }),
  tlsChallenge: group(
    { delay: duration({ doc: "Wait before the CA is told.", default: "0" }) },
    { enabler: true },
  )({ doc: "Prove a name by a certificate." }),
  dnsChallenge: dnsChallenge({ doc: "Prove a name, or a wildcard, by a DNS record." }),
};
export type AcmeOptions = Values<typeof acmeOptions>;

export const resolver = group(
  {
    acme: group(acmeOptions, { enabler: true })({ doc: "Certificates from a CA by ACME." }),
    tailscale: gone({
      doc: "Certificates from Tailscale.",
      refused: "Waybill does not speak to tailscaled; use acme",
    }),
  },
  { enabler: true },
);
export type ResolverOptions = NonNullable<Values<{ resolver: ReturnType<typeof resolver> }>["resolver"]>;
