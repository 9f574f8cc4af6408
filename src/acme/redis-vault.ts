import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { Redis } from "ioredis";
import { FileVault } from "./file-vault.ts";
import { copyDirectory } from "./resolver.ts";
import { ASIDE, type Lock, type Vault, VaultError } from "./vault.ts";

const PREFIX = "waybill:acme:";
const CHANNEL = "waybill:acme";
const LOCK_MS = 30_000;
const BEAT_MS = 10_000;
const CHALLENGE_MS = 3_600_000;
/** A server that is there is ready in a few milliseconds; one that restarts is waited for by whoever retries. */
const READY_MS = 1500;
/** No folder above, nothing absolute. */
const OWN_PATH = /^(?:(?!\.+\/)[\w.+-]+\/)+(?!\.+$)[\w.+-]+$/;
const VALUE_BYTES_MAX = 1 << 20;

/** Takes a lock away, or lengthens it, only while it is still ours. */
const RELEASE = `if redis.call("get", KEYS[1]) == ARGV[1] then return redis.call("del", KEYS[1]) end return 0`;
const EXTEND = `if redis.call("get", KEYS[1]) == ARGV[1] then return redis.call("pexpire", KEYS[1], ARGV[2]) end return 0`;

/** Puts a value in the place of the one that was read; nothing reads as "". */
const SWAP = `if (redis.call("get", KEYS[1]) or "") ~= ARGV[1] then return 0 end redis.call("set", KEYS[1], ARGV[2]) return 1`;
const SWAP_TRIES = 100;

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * A Redis server that several machines share. Values are sealed, so that whoever can read Redis has no keys and
 * whoever can write it cannot plant any; what matters is also kept on disk, for the day Redis is empty.
 */
export class RedisVault implements Vault {
  readonly where: string;
  readonly #redis: Redis;
  readonly #seal: Seal;
  readonly #copy: FileVault;
  #listener: Redis | undefined;
  #isListening = false;
  /** It did not answer in time when it was last asked, and has not come back since. */
  #isAway = false;

  private constructor(where: string, redis: Redis, seal: Seal, copy: FileVault) {
    this.where = where;
    this.#redis = redis;
    this.#seal = seal;
    this.#copy = copy;
  }

  /** `WAYBILL_STORAGE_KEY` (or `_FILE`) seals the values; `WAYBILL_STORAGE_COPY` is the directory of the copy. */
  static async open(url: string, environment: Environment): Promise<RedisVault> {
    const file = environment["WAYBILL_STORAGE_KEY_FILE"];
    const secret = environment["WAYBILL_STORAGE_KEY"] ?? (file && readSecret(file));
    if (!secret)
      throw new VaultError(
        "permissions",
        "storage in Redis needs WAYBILL_STORAGE_KEY, which seals the private keys",
      );
    const copy = await FileVault.open(copyDirectory(environment));
    const { host } = new URL(url);
    return new RedisVault(`redis://${host}`, connect(url), new Seal(secret), copy);
  }

  async get(path: string): Promise<Buffer | undefined> {
    const sealed = await this.#ask((redis) => redis.getBuffer(PREFIX + path)).catch((error) => {
      if (!isCopied(path)) throw error;
      return null;
    });
    if (sealed !== null) return this.#seal.open(path, sealed);
    if (!isCopied(path)) return undefined;
    const kept = await this.#copy.get(path);
    // Redis has lost it, or is away: from our disk it goes back to where the others find it.
    if (kept !== undefined) await this.#set(path, kept).catch(() => {});
    return kept;
  }

  async getAll(paths: readonly string[]): Promise<readonly (Buffer | VaultError | undefined)[]> {
    const keys = paths.map((path) => PREFIX + path);
    const sealed = await this.#ask((redis) => redis.mgetBuffer(keys)).catch(() => []);
    return Promise.all(
      paths.map(async (path, i) => {
        try {
          const found = sealed[i] ?? null;
          return found === null ? await this.get(path) : this.#seal.open(path, found);
        } catch (error) {
          return error as VaultError;
        }
      }),
    );
  }

  async put(path: string, bytes: string | Buffer): Promise<void> {
    await this.#set(path, Buffer.from(bytes));
    if (isCopied(path)) await this.#copy.put(path, bytes);
  }

  async #set(path: string, bytes: Buffer): Promise<void> {
    const sealed = this.#seal.close(path, bytes);
    const isShort = path.startsWith("challenges/") || path.startsWith("seen/");
    await this.#ask(async (redis) => {
      if (isShort) await redis.set(PREFIX + path, sealed, "PX", CHALLENGE_MS);
      else await redis.set(PREFIX + path, sealed);
      await redis.publish(CHANNEL, path);
    });
  }

  async change(path: string, work: (before: Buffer | undefined) => string | Buffer): Promise<void> {
    const key = PREFIX + path;
    for (let tries = 0; tries < SWAP_TRIES; tries++) {
      const before = await this.#ask((redis) => redis.getBuffer(key));
      const next = work(before === null ? undefined : this.#seal.open(path, before));
      const sealed = this.#seal.close(path, Buffer.from(next));
      if ((await this.#ask((redis) => redis.eval(SWAP, 1, key, before ?? "", sealed))) === 1) return;
    }
    throw new VaultError("unavailable", `${this.where}: others change ${path} without end`);
  }

  async remove(path: string): Promise<void> {
    await this.#ask(async (redis) => {
      await redis.del(PREFIX + path);
      await redis.publish(CHANNEL, path);
    });
    if (isCopied(path)) await this.#copy.remove(path);
  }

  async list(folder: string): Promise<readonly string[]> {
    const found = new Set(isCopied(`${folder}/`) ? await this.#copy.list(folder) : []);
    try {
      await this.#ask(async (redis) => {
        const match = `${PREFIX}${folder.replace(/[*?[\]\\]/g, "\\$&")}/*`;
        for await (const keys of redis.scanStream({ match, count: 500 }) as AsyncIterable<string[]>) {
          // Whoever can write to Redis may name keys as he likes, and paths of the copy are made of them.
          for (const key of keys)
            if (OWN_PATH.test(key.slice(PREFIX.length))) found.add(key.slice(PREFIX.length));
        }
      });
    } catch (error) {
      if (found.size === 0) throw error;
    }
    return [...found].sort();
  }

  async setAside(path: string, nowMs: number): Promise<string> {
    const target = `${ASIDE}/${new Date(nowMs).toISOString()}-${randomBytes(3).toString("hex")}/${path}`;
    for (const one of await this.list(path)) {
      const sealed = await this.#ask((redis) => redis.getBuffer(PREFIX + one));
      if (sealed !== null)
        await this.#ask((redis) => redis.set(`${PREFIX}${target}${one.slice(path.length)}`, sealed));
      await this.remove(one);
    }
    return `${this.where} ${PREFIX}${target}`;
  }

  async tryLock(name: string): Promise<Lock | undefined> {
    const key = `${PREFIX}locks/${name}`;
    // The number counts up with every holder: it tells a holder who slept that he is not the last one.
    const fence = await this.#ask((redis) => redis.incr(`${PREFIX}fence`));
    const token = `${fence} ${randomBytes(12).toString("hex")}`;
    const taken = await this.#ask((redis) => redis.set(key, token, "PX", LOCK_MS, "NX"));
    if (taken !== "OK") return undefined;
    const extend = () =>
      void this.#ask((redis) => redis.eval(EXTEND, 1, key, token, LOCK_MS)).catch(() => {});
    const timer = setInterval(extend, BEAT_MS);
    timer.unref();
    return {
      held: async () => (await this.#ask((redis) => redis.get(key)).catch(() => null)) === token,
      release: async () => {
        clearInterval(timer);
        await this.#ask((redis) => redis.eval(RELEASE, 1, key, token)).catch(() => {});
      },
    };
  }

  watch(changed: () => void, back: () => void): void {
    this.#redis.on("ready", back);
    this.#listener?.disconnect();
    const listener = this.#redis.duplicate();
    this.#listener = listener;
    listener.on("error", () => {});
    listener.on("close", () => {
      this.#isListening = false;
    });
    listener.on("message", changed);
    const subscribe = async () => {
      await listener.subscribe(CHANNEL);
      this.#isListening = true;
      changed();
    };
    listener.on("ready", () => void subscribe().catch(() => {}));
  }

  async peers(): Promise<number> {
    try {
      const [, count] = (await this.#ask((redis) => redis.pubsub("NUMSUB", CHANNEL))) as [string, number];
      return Math.max(0, Number(count) - (this.#isListening ? 1 : 0));
    } catch {
      return 0;
    }
  }

  async close(): Promise<void> {
    this.#listener?.disconnect();
    this.#redis.disconnect();
    await this.#copy.close();
  }

  /** Only the first caller waits for a server that is away; whoever comes after him is told at once. */
  async #ready(): Promise<void> {
    if (this.#redis.status === "ready") this.#isAway = false;
    else if (this.#isAway) throw new Error("not connected");
    else {
      await ready(this.#redis, READY_MS).catch((error) => {
        this.#isAway = true;
        throw error;
      });
    }
  }

  async #ask<T>(command: (redis: Redis) => Promise<T>): Promise<T> {
    try {
      await this.#ready();
      return await command(this.#redis);
    } catch (error) {
      throw error instanceof VaultError
        ? error
        : new VaultError("unavailable", `${this.where}: ${(error as Error).message}`);
    }
  }
}

const isCopied = (path: string) => path.startsWith("certs/") || path.startsWith("accounts/");

function readSecret(file: string): string {
  try {
    return readFileSync(file, "utf8").trim();
  } catch {
    throw new VaultError("permissions", `WAYBILL_STORAGE_KEY_FILE cannot be read: ${file}`);
  }
}

function connect(url: string): Redis {
  const redis = new Redis(url, {
    protocol: 2,
    commandTimeout: 3000,
    connectTimeout: 3000,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    autoResubscribe: false,
  });
  // Without a listener an error of the connection would end the process.
  redis.on("error", () => {});
  return redis;
}

function ready(redis: Redis, patienceMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => done(new Error("not connected")), patienceMs);
    const isReady = () => done(undefined);
    const done = (error: Error | undefined) => {
      clearTimeout(timer);
      redis.off("ready", isReady);
      if (error === undefined) resolve();
      else reject(error);
    };
    redis.once("ready", isReady);
  });
}

/** AES-256-GCM, bound to the path: a value put under another path does not open. */
class Seal {
  readonly #key: Buffer;

  constructor(secret: string) {
    this.#key = Buffer.from(hkdfSync("sha256", secret, "waybill", "acme storage", 32));
  }

  close(path: string, bytes: Buffer): Buffer {
    const nonce = randomBytes(12);
    const cipher = createCipheriv("aes-256-gcm", this.#key, nonce).setAAD(Buffer.from(path));
    const sealed = Buffer.concat([cipher.update(bytes), cipher.final()]);
    return Buffer.concat([nonce, cipher.getAuthTag(), sealed]);
  }

  open(path: string, sealed: Buffer): Buffer {
    try {
      if (sealed.length < 28 || sealed.length > VALUE_BYTES_MAX) throw new Error("size");
      const decipher = createDecipheriv("aes-256-gcm", this.#key, sealed.subarray(0, 12));
      decipher.setAAD(Buffer.from(path)).setAuthTag(sealed.subarray(12, 28));
      return Buffer.concat([decipher.update(sealed.subarray(28)), decipher.final()]);
    } catch {
      const what = `${path} in Redis does not open: it was changed, or sealed with another WAYBILL_STORAGE_KEY`;
      throw new VaultError("permissions", what);
    }
  }
}
