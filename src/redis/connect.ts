import { Cluster, type ClusterOptions, Redis, type RedisOptions } from "ioredis";
import { readEndpoint, type SharedLimitOptions } from "../model/shared-limit.ts";

const RECONNECT_MS_MAX = 2000;
const SILENT_MS_MAX = 5000;

/**
 * A client of one server, of a cluster, or of the master that sentinels name. Nothing waits in it: a command that
 * cannot be sent now, or whose connection breaks, has failed.
 */
export function connect(options: SharedLimitOptions, timeoutMs: number): Redis | Cluster {
  const client = makeClient(options, timeoutMs);
  // Without a listener an error of the connection would end the thread. What it costs is seen in `SharedLimits`.
  client.on("error", () => {});
  return client;
}

function makeClient(options: SharedLimitOptions, timeoutMs: number): Redis | Cluster {
  const { sentinel, endpoints } = options;
  const nodes = endpoints.map((endpoint) => readEndpoint(endpoint)!);
  const common = commonOptions(options, timeoutMs);
  if (sentinel !== undefined) {
    return new Redis({
      ...common,
      sentinels: nodes,
      name: sentinel.masterName,
      failoverDetector: true,
      sentinelCommandTimeout: SILENT_MS_MAX,
      sentinelRetryStrategy: reconnectMs,
      sentinelReconnectStrategy: reconnectMs,
      ...credentials("sentinelUsername", "sentinelPassword", sentinel),
      ...(common.tls && { enableTLSForSentinelMode: true, sentinelTLS: common.tls }),
    });
  }
  if (nodes.length > 1) return new Cluster(nodes, clusterOptions(common));
  return new Redis({ ...common, ...nodes[0]! });
}

function commonOptions(options: SharedLimitOptions, timeoutMs: number) {
  const { tls, db, dialTimeout } = options;
  return {
    protocol: 2,
    db,
    commandTimeout: timeoutMs,
    connectTimeout: dialTimeout,
    socketTimeout: SILENT_MS_MAX,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    retryStrategy: reconnectMs,
    // A master that has become a replica: somewhere else is a new one.
    reconnectOnError: (error) => error.message.startsWith("READONLY"),
    ...credentials("username", "password", options),
    ...(tls && { tls: tlsOptions(tls) }),
  } satisfies RedisOptions;
}

function clusterOptions({ db: _, enableOfflineQueue, retryStrategy, ...redisOptions }: CommonOptions) {
  return {
    redisOptions,
    enableOfflineQueue,
    clusterRetryStrategy: retryStrategy,
    clusterNodeRetryStrategy: retryStrategy,
    slotsRefreshTimeout: redisOptions.connectTimeout,
    // Decisions that a moving slot makes late are made here instead.
    maxRedirections: 3,
    retryDelayOnFailover: 10,
    retryDelayOnClusterDown: 10,
    retryDelayOnTryAgain: 10,
  } satisfies ClusterOptions;
}

type CommonOptions = ReturnType<typeof commonOptions>;

const reconnectMs = (times: number) => Math.min(RECONNECT_MS_MAX, 50 * 2 ** Math.min(times, 10));

function credentials<U extends string, P extends string>(
  userKey: U,
  passwordKey: P,
  { username, password }: { readonly username: string; readonly password: string },
): { readonly [K in U | P]?: string } {
  return {
    ...(username !== "" && { [userKey]: username }),
    ...(password !== "" && { [passwordKey]: password }),
  } as { readonly [K in U | P]?: string };
}

function tlsOptions({ ca, cert, key, insecureSkipVerify }: NonNullable<SharedLimitOptions["tls"]>) {
  return {
    rejectUnauthorized: !insecureSkipVerify,
    ...(ca !== "" && { ca }),
    ...(cert !== "" && { cert, key }),
  };
}
