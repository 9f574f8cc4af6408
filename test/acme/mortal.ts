import { Acme } from "../../src/acme/manager.ts";
import { openNetwork, resolverOptions } from "./helpers.ts";

/** A process that gets certificates for the names it is given, until it is killed. Says when it has all of them. */
const [storage, caServer, ...names] = process.argv.slice(2) as [string, string, ...string[]];
const complain = (_: Record<string, unknown>, message: string) => void console.error(message);
const acme = new Acme({
  resolvers: new Map([["le", resolverOptions({ caServer, storage })]]),
  log: { debug() {}, info() {}, warn: complain, error: complain },
  environment: {},
  network: openNetwork,
  onChallenges() {},
  onCertificates() {
    if (acme.status().every(({ certificate }) => certificate !== undefined)) process.stdout.write("all\n");
  },
});
acme.want(names.map((name) => ({ resolver: "le", names: [name], owner: "app@docker" })));
await acme.start();
process.stdout.write("started\n");
