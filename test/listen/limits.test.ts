import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { tlsOptionsOptions, transportOptions } from "../../src/model/dynamic.ts";
import { serverOptions } from "../../src/tls/options.ts";
import { written } from "../gateway/plane.ts";
import { everyOption } from "../options/declared.ts";

/**
 * The limits that hold when nobody says otherwise, row by row: what a row names is an option whose default is the
 * row's, or a constant in force. A default that is changed by chance is seen here.
 */

const EP = "entryPoints.<name>";
const TIMEOUTS = `${EP}.transport.respondingTimeouts`;
const TRANSPORTS = ["serversTransport", "http.serversTransports.<name>"];
const MIDDLEWARE = "http.middlewares.<name>";

const towardsServers = (name: string, value: string): [string, string][] =>
  TRANSPORTS.map((transport) => [`${transport}.${name}`, value]);

interface Row {
  readonly row: string;
  /** Path and default, as a person writes it. */
  readonly options?: readonly (readonly [path: string, value: string])[];
  /** File, name and text of what no option says. */
  readonly constants?: readonly (readonly [file: string, name: string, value: string])[];
}

const ROWS: readonly Row[] = [
  {
    row: "client header timeout: 10 s",
    options: [[`${TIMEOUTS}.headerTimeout`, "10s"]],
  },
  { row: "TLS handshake timeout: 10 s", options: [[`${TIMEOUTS}.tlsHandshakeTimeout`, "10s"]] },
  {
    row: "body: idle 60 s, whole none, at least 240 B/s",
    options: [
      [`${TIMEOUTS}.bodyIdleTimeout`, "60s"],
      [`${TIMEOUTS}.readTimeout`, "0"],
      [`${TIMEOUTS}.bodyRateMin`, "240"],
    ],
  },
  {
    row: "keep-alive idle: 75 s for HTTP/1.1, 180 s for HTTP/2",
    options: [
      [`${TIMEOUTS}.idleTimeout`, "75s"],
      [`${EP}.http2.idleTimeout`, "180s"],
    ],
  },
  { row: "requests per connection: 10,000", options: [[`${EP}.transport.keepAliveMaxRequests`, "10000"]] },
  {
    row: "request line 8 KiB, header block 32 KiB, 100 headers",
    options: [
      [`${EP}.http.maxRequestLineBytes`, "8KiB"],
      [`${EP}.http.maxHeaderBytes`, "32KiB"],
      [`${EP}.http.maxHeaders`, "100"],
    ],
  },
  { row: "HTTP/2 concurrent streams: 100", options: [[`${EP}.http2.maxConcurrentStreams`, "100"]] },
  {
    row: "HTTP/2 windows: 64 KiB a stream, 1 MiB a connection",
    options: [
      [`${EP}.http2.streamWindow`, "64KiB"],
      [`${EP}.http2.connectionWindow`, "1MiB"],
    ],
  },
  {
    row: "HTTP/2 header list: 32 KiB, 128 pairs",
    options: [
      [`${EP}.http.maxHeaderBytes`, "32KiB"],
      [`${EP}.http2.maxHeaderPairs`, "128"],
    ],
  },
  {
    row: "HTTP/2 stream resets 100 and 33 a second, 32 settings",
    options: [
      [`${EP}.http2.streamResetBurst`, "100"],
      [`${EP}.http2.streamResetRate`, "33"],
      [`${EP}.http2.maxSettings`, "32"],
    ],
  },
  {
    row: "body: no limit on a stream, 1 MiB in memory when a middleware buffers, 1 MiB for forward-auth",
    options: [
      ["http.services.<name>.limits.body", "0"],
      [`${MIDDLEWARE}.buffering.memRequestBodyBytes`, "1MiB"],
      [`${MIDDLEWARE}.buffering.memResponseBodyBytes`, "1MiB"],
      [`${MIDDLEWARE}.forwardAuth.maxBodySize`, "1MiB"],
      [`${MIDDLEWARE}.forwardAuth.maxResponseBodySize`, "1MiB"],
    ],
    constants: [["gateway/call.ts", "REPLY_BYTES_MAX", "1024 * 1024"]],
  },
  {
    row: "servers: connect 5 s, reply head 60 s, idle read 60 s",
    options: [
      ...towardsServers("forwardingTimeouts.dialTimeout", "5s"),
      ...towardsServers("forwardingTimeouts.responseHeaderTimeout", "60s"),
      ...towardsServers("forwardingTimeouts.idleReadTimeout", "60s"),
    ],
  },
  {
    row: "pool of a server: idle 55 s, 256 connections (0)",
    options: [
      ...towardsServers("forwardingTimeouts.idleConnTimeout", "55s"),
      ...towardsServers("maxIdleConnsPerHost", "0"),
    ],
  },
  {
    row: "retries: idempotent only, at most a fifth of the requests",
    options: [
      ["global.retryBudget", "20"],
      [`${MIDDLEWARE}.retry.retryNonIdempotentMethod`, "false"],
    ],
  },
  {
    row: "reply head of a server: 64 KiB, 200 headers",
    options: [
      ...towardsServers("maxResponseHeaderBytes", "64KiB"),
      ...towardsServers("maxResponseHeaders", "200"),
    ],
  },
  {
    row: "tunnels: idle 1 h, TCP keep-alive 60 s",
    options: [[`${TIMEOUTS}.tunnelIdleTimeout`, "1h"]],
    constants: [
      ["gateway/upgrade.ts", "TUNNEL_IDLE_MS", "60 * 60 * 1000"],
      ["listen/entry-point.ts", "KEEP_ALIVE_DELAY_MS", "60_000"],
      ["upstream/upgrade-call.ts", "KEEP_ALIVE_DELAY_MS", "60_000"],
    ],
  },
  {
    row: "connections: four fifths of the file limit (0), 1,000 from one address",
    options: [
      [`${EP}.transport.maxConnections`, "0"],
      [`${EP}.transport.maxConnectionsPerIP`, "1000"],
    ],
  },
  {
    row: "shutdown: grace 10 s, accept grace 0",
    options: [
      [`${EP}.transport.lifeCycle.graceTimeOut`, "10s"],
      [`${EP}.transport.lifeCycle.requestAcceptGraceTimeout`, "0"],
    ],
  },
  {
    // What a TLS socket encrypts ahead is a second chunk more.
    row: "write buffer: 64 KiB",
    options: [[`${TIMEOUTS}.writeStallTimeout`, "60s"]],
    constants: [
      ["upstream/read-buffer.ts", "BYTES", "64 * 1024"],
      ["lib/scratch.ts", "WAITING_MAX", "128 * 1024"],
    ],
  },
  {
    row: "TLS: tickets at most 24 h",
    options: [
      ["tls.options.<name>.minVersion", ""],
      ["tls.options.<name>.disableSessionTickets", "false"],
    ],
    constants: [["tls/acceptor.ts", "TICKET_SECRET_LIFE_MS", "12 * 3_600_000"]],
  },
  { row: "underscores: dropped", options: [[`${EP}.http.underscoreHeadersStrategy`, "delete"]] },
  {
    row: "encoded slash, backslash and NUL: 400",
    options: [
      [`${EP}.http.encodedCharacters.allowEncodedSlash`, "false"],
      [`${EP}.http.encodedCharacters.allowEncodedBackSlash`, "false"],
      [`${EP}.http.encodedCharacters.allowEncodedNullCharacter`, "false"],
    ],
  },
  {
    // Less than the 50 ms that a dead Redis may cost a request: a busy thread adds to it.
    row: "Redis on the way of requests: command 50 ms, connect 1 s, silence 5 s, nothing queued or repeated",
    options: [
      [`${MIDDLEWARE}.rateLimit.redis.readTimeout`, "40ms"],
      [`${MIDDLEWARE}.rateLimit.redis.writeTimeout`, "40ms"],
      [`${MIDDLEWARE}.rateLimit.redis.dialTimeout`, "1s"],
    ],
    constants: [
      ["redis/connect.ts", "SILENT_MS_MAX", "5000"],
      ["redis/connect.ts", "enableOfflineQueue", "false"],
      ["redis/connect.ts", "autoResendUnfulfilledCommands", "false"],
      ["redis/connect.ts", "maxRetriesPerRequest", "0"],
      ["redis/connect.ts", "protocol", "2"],
    ],
  },
  {
    // At most 4 s between tries, because the engine's return must be seen within 5 s.
    row: "Docker: ping 10 s, list 10 s, events 60 s and then a look, back-off from 0.5 s, for ever",
    options: [["providers.docker.httpClientTimeout", "0"]],
    constants: [
      ["providers/docker/engine.ts", "PING_MS", "10_000"],
      ["providers/docker/engine.ts", "LIST_MS", "10_000"],
      ["providers/docker/watch.ts", "IDLE_MS", "60_000"],
      ["providers/docker/watch.ts", "BACKOFF_FIRST_MS", "500"],
      ["providers/docker/watch.ts", "BACKOFF_MAX_MS", "4_000"],
      ["providers/docker/watch.ts", "BACKOFF_SSH_MAX_MS", "30_000"],
    ],
  },
];

const declared = new Map((await everyOption()).map((option) => [option.path, option]));

/** The text of `const NAME = …;` or of the property `name: …,` in one file of src. */
function constantIn(file: string, name: string): string | undefined {
  const text = readFileSync(join(import.meta.dirname, "../../src", file), "utf8");
  const found = new RegExp(`^(?:export const ${name} = |const ${name} = | +${name}: )(.+)[;,]$`, "m");
  return found.exec(text)?.[1];
}

for (const { row, options = [], constants = [] } of ROWS) {
  test(`limit: ${row}`, () => {
    for (const [path, value] of options) {
      const option = declared.get(path);
      assert.ok(option !== undefined, `${path} is no option`);
      assert.equal(option.about.default, value, path);
      assert.equal(option.about.obsolete ?? option.about.refused, undefined, `${path} works`);
    }
    for (const [file, name, value] of constants)
      assert.equal(constantIn(file, name), value, `${file} ${name}`);
  });
}

test("limit: times of transports are those that are declared, in milliseconds", () => {
  const { forwardingTimeouts: times } = written(transportOptions, {});
  assert.deepEqual(
    [times.dialTimeout, times.responseHeaderTimeout, times.idleReadTimeout, times.idleConnTimeout],
    [5000, 60_000, 60_000, 55_000],
  );
});

test("limit: TLS from 1.2, with forward secrecy and AEAD only, in our order", () => {
  const made = serverOptions(written(tlsOptionsOptions, {}));
  assert.equal(made.minVersion, "TLSv1.2");
  assert.equal(made.ecdhCurve, "X25519MLKEM768:X25519:P-256:P-384");
  assert.deepEqual(made.ciphers?.split(":").sort(), [
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-RSA-CHACHA20-POLY1305",
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
  ]);
});
