import { readFileSync } from "node:fs";
import { writeAtomically } from "../file-vault.ts";
import { AcmeProblem, isRecord } from "../problem.ts";
import { callApi, field, type ProviderKind } from "./provider.ts";

interface AcmeDnsAccount {
  readonly fulldomain: string;
  readonly subdomain: string;
  readonly username: string;
  readonly password: string;
}

export const acmeDns: ProviderKind = {
  code: "acme-dns",
  summary: "A small DNS server of your own that proves names which point to it by CNAME.",
  propagationMs: 60_000,
  create(variables) {
    const base = variables.need("ACME_DNS_API_BASE").replace(/\/$/, "");
    const file = variables.need("ACME_DNS_STORAGE_PATH");

    const accountOf = async (domain: string): Promise<AcmeDnsAccount> => {
      const accounts = readAccounts(file);
      const known = accounts.get(domain);
      if (known !== undefined) return known;
      const { data } = await callApi({ method: "POST", url: `${base}/register`, body: {} });
      const account = readAccount(data);
      if (account === undefined) throw new AcmeProblem("dnsProvider", "acme-dns registered nothing");
      accounts.set(domain, account);
      await writeAtomically(file, JSON.stringify(Object.fromEntries(accounts), null, 2));
      const record = `_acme-challenge.${domain}. CNAME ${account.fulldomain}.`;
      throw new AcmeProblem(
        "dnsProvider",
        `acme-dns has an account for ${domain} now; add the record ${record}`,
      );
    };

    return {
      async present({ domain, value }) {
        const { subdomain, username, password } = await accountOf(domain);
        const headers = { "x-api-user": username, "x-api-key": password };
        await callApi({ method: "POST", url: `${base}/update`, headers, body: { subdomain, txt: value } });
      },
      // It keeps the last two values of a name and forgets the older ones.
      cleanUp: async () => {},
    };
  },
};

function readAccounts(file: string): Map<string, AcmeDnsAccount> {
  const accounts = new Map<string, AcmeDnsAccount>();
  let data: unknown;
  try {
    data = JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    if ((error as { code?: string }).code === "ENOENT") return accounts;
    throw new AcmeProblem("dnsProvider", `the acme-dns accounts cannot be read: ${file}`);
  }
  for (const [domain, entry] of Object.entries(isRecord(data) ? data : {})) {
    const account = readAccount(entry);
    if (account !== undefined) accounts.set(domain, account);
  }
  return accounts;
}

function readAccount(data: unknown): AcmeDnsAccount | undefined {
  const [fulldomain, subdomain, username, password] = ["fulldomain", "subdomain", "username", "password"].map(
    (name) => field(data, name),
  );
  if (typeof fulldomain !== "string" || typeof subdomain !== "string") return undefined;
  if (typeof username !== "string" || typeof password !== "string") return undefined;
  return { fulldomain, subdomain, username, password };
}
