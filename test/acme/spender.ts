import { Budget } from "../../src/acme/budget.ts";
import { FileVault } from "../../src/acme/file-vault.ts";
import { RedisVault } from "../../src/acme/redis-vault.ts";

/** A process that asks for as many orders of one domain as it is told to, and says how many it was given. */
const [storage, machine, count] = process.argv.slice(2) as [string, string, string];
const vault = storage.startsWith("redis")
  ? await RedisVault.open(storage, process.env)
  : await FileVault.open(storage);
const budget = new Budget(vault, "ca.test");
let given = 0;
for (let i = 0; i < Number(count); i++) {
  const waitMs = await budget.takeOrder([`${machine}${i}.example.com`], false, Date.now());
  if (waitMs === 0) given++;
}
console.log(given);
await vault.close();
