import { group } from "../schema/composites.ts";
import { bool, text } from "../schema/kinds.ts";
import type { Values } from "../schema/option.ts";

/** TLS of ours as a client: towards an engine, a collector, a store. */
export const clientTls = group({
  ca: text({ doc: "Authority that is trusted: a path, or PEM.", default: "" }),
  cert: text({ doc: "Client certificate: a path, or PEM.", default: "" }),
  key: text({ doc: "Its private key: a path, or PEM.", default: "", secret: true }),
  insecureSkipVerify: bool({ doc: "Do not verify the server's certificate.", default: "false" }),
  caOptional: bool({
    doc: "Removed.",
    obsolete: "it never meant anything to a client, and Traefik v3 has removed it",
  }),
});
export type ClientTlsOptions = NonNullable<Values<{ tls: ReturnType<typeof clientTls> }>["tls"]>;
