import assert from "node:assert/strict";
import { createServer } from "node:net";
import { after, test } from "node:test";
import { startProduct } from "../e2e/harness.ts";
import { talk } from "../gateway/plane.ts";
import { startRaw } from "./kit.ts";
import { readStrictly, startRecorder } from "./strict-reader.ts";

/**
 * Values that come from a label, a client, an authentication service or a page, in every place where they end up in a
 * head: whatever they hold, neither the server nor the client ever sees a line of theirs.
 */

const LINE = "X-Injected: 1";
/** What ends a line, or becomes such a byte when a character is taken for a byte: U+010A and U+010D end in 0A and 0D. */
const PAYLOADS: readonly (readonly [string, string])[] = [
  ["CR LF", `v\r\n${LINE}`],
  ["LF", `v\n${LINE}`],
  ["CR", `v\r${LINE}`],
  ["a whole message", `v\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n`],
  ["NUL", `v\0${LINE}`],
  ["characters that end in CR and LF", `v\u010d\u010a${LINE}`],
  ["characters beyond the first plane", `v\u{1f60a}\u{1040d}${LINE}`],
  ["line separators", `v\u0085\u2028\u2029${LINE}`],
  ["a folded line", `v\r\n ${LINE}`],
  ["a half of a character", `v\ud83d${LINE}`],
  ["escapes", `v%0d%0a${encodeURIComponent(LINE)}`],
  ["nothing bad", "harmless"],
];

const app = await startRecorder();
const page = await startRaw((socket, text) => {
  if (text.includes("\r\n\r\n")) socket.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npage");
});
after(async () => {
  await app[Symbol.asyncDispose]();
  await page[Symbol.asyncDispose]();
});

type Config = Record<string, unknown>;
interface Place {
  /** Its router's middleware. */
  readonly middleware?: (value: string) => Config;
  /** Its service, if it is not the recorder. */
  readonly service?: (value: string) => Config;
  readonly headers?: string;
  readonly method?: string;
  /** Who is shown a value with nothing bad in it. */
  readonly shows: "server" | "client" | "page" | "nobody";
}

const NO_USER = "u:{SHA}VBPuJHI7uixaa6LQGWx4s+5GKNE=";
const ORIGIN = "Origin: http://o.test\r\n";
const PREFLIGHT = `${ORIGIN}Access-Control-Request-Method: PUT\r\n`;
const set = (option: string) => (value: string) => ({ headers: { [option]: value } });
const cookie = (more: Config) => ({
  loadBalancer: { sticky: { cookie: more }, servers: [{ url: app.url }] },
});

const PLACES: Readonly<Record<string, Place>> = {
  "a request header's value": {
    middleware: (v) => ({ headers: { customRequestHeaders: { "X-Set": v } } }),
    shows: "server",
  },
  "a request header's name": {
    middleware: (v) => ({ headers: { customRequestHeaders: { [`X-${v}`]: "1" } } }),
    shows: "server",
  },
  "a request's Host": {
    middleware: (v) => ({ headers: { customRequestHeaders: { Host: v } } }),
    shows: "server",
  },
  "a reply header's value": {
    middleware: (v) => ({ headers: { customResponseHeaders: { "X-Set": v } } }),
    shows: "client",
  },
  "a reply header's name": {
    middleware: (v) => ({ headers: { customResponseHeaders: { [`X-${v}`]: "1" } } }),
    shows: "client",
  },
  contentSecurityPolicy: { middleware: set("contentSecurityPolicy"), shows: "client" },
  "contentSecurityPolicy with a nonce": {
    middleware: (v) => ({ headers: { contentSecurityPolicy: `${v} $NONCE` } }),
    shows: "client",
  },
  customFrameOptionsValue: { middleware: set("customFrameOptionsValue"), shows: "client" },
  referrerPolicy: { middleware: set("referrerPolicy"), shows: "client" },
  permissionsPolicy: { middleware: set("permissionsPolicy"), shows: "client" },
  publicKey: { middleware: set("publicKey"), shows: "nobody" },
  accessControlExposeHeaders: {
    middleware: (v) => ({
      headers: { accessControlAllowOriginList: ["*"], accessControlExposeHeaders: [v] },
    }),
    headers: ORIGIN,
    shows: "client",
  },
  accessControlAllowHeaders: {
    middleware: (v) => ({ headers: { accessControlAllowOriginList: ["*"], accessControlAllowHeaders: [v] } }),
    headers: PREFLIGHT,
    method: "OPTIONS",
    shows: "client",
  },
  accessControlAllowMethods: {
    middleware: (v) => ({ headers: { accessControlAllowOriginList: ["*"], accessControlAllowMethods: [v] } }),
    headers: PREFLIGHT,
    method: "OPTIONS",
    shows: "client",
  },
  addPrefix: { middleware: (v) => ({ addPrefix: { prefix: `/${v}` } }), shows: "server" },
  replacePath: { middleware: (v) => ({ replacePath: { path: `/${v}` } }), shows: "server" },
  replacePathRegex: {
    middleware: (v) => ({ replacePathRegex: { regex: "^/(.*)", replacement: `/${v}/$1` } }),
    shows: "server",
  },
  "redirectRegex's path": {
    middleware: (v) => ({ redirectRegex: { regex: "^.*$", replacement: `http://other.test/${v}` } }),
    shows: "client",
  },
  "redirectRegex's host": {
    middleware: (v) => ({ redirectRegex: { regex: "^.*$", replacement: `http://${v}.test/` } }),
    shows: "client",
  },
  "redirectScheme's port": {
    middleware: (v) => ({ redirectScheme: { scheme: "https", port: v } }),
    shows: "nobody",
  },
  "basicAuth's realm": {
    middleware: (v) => ({ basicAuth: { users: [NO_USER], realm: v } }),
    shows: "client",
  },
  "basicAuth's user": {
    middleware: (v) => ({
      basicAuth: { users: [`${v}:{SHA}VBPuJHI7uixaa6LQGWx4s+5GKNE=`], headerField: "X-User" },
    }),
    // The password is "password".
    headers: `Authorization: Basic ${Buffer.from("harmless:password").toString("base64")}\r\n`,
    shows: "nobody",
  },
  "basicAuth's headerField": {
    middleware: (v) => ({ basicAuth: { users: [NO_USER], headerField: `X-${v}` } }),
    shows: "nobody",
  },
  "digestAuth's realm": {
    middleware: (v) => ({ digestAuth: { users: ["u:r:00"], realm: v } }),
    shows: "nobody",
  },
  "forwardAuth's authSigninURL": {
    middleware: (v) => ({
      forwardAuth: { address: `${REFUSING}/`, authSigninURL: `http://other.test/${v}` },
    }),
    shows: "client",
  },
  "forwardAuth's address": {
    middleware: (v) => ({ forwardAuth: { address: `${page.url}/${v}` } }),
    shows: "page",
  },
  "forwardAuth's headers": {
    middleware: (v) => ({ forwardAuth: { address: page.url, authResponseHeaders: [`X-${v}`] } }),
    shows: "nobody",
  },
  "errors' query": {
    middleware: (v) => ({ errors: { status: ["200"], service: "page", query: `/${v}?${v}` } }),
    shows: "page",
  },
  "grpcWeb's origins": {
    middleware: (v) => ({ grpcWeb: { allowOrigins: [v] } }),
    headers: ORIGIN,
    shows: "nobody",
  },
  "a server's URL": {
    service: (v) => ({ loadBalancer: { servers: [{ url: `${app.url}/${v}`, preservePath: true }] } }),
    shows: "server",
  },
  "a sticky cookie's name": { service: (v) => cookie({ name: v }), shows: "client" },
  "a sticky cookie's path": { service: (v) => cookie({ path: `/${v}` }), shows: "client" },
  "a sticky cookie's domain": { service: (v) => cookie({ domain: `${v}.test` }), shows: "client" },
};
const NAMES = Object.keys(PLACES);

/** What the authentication service and the page say, by the path that they are asked for. */
const SAID: readonly (readonly [string, string])[] = [
  ["a bare CR", "v\rX-Injected: 1"],
  ["a bare LF", "v\nX-Injected: 1"],
  ["NUL", "v\0X-Injected: 1"],
  ["a folded line", "v\r\n X-Injected: 1"],
  ["bytes beyond ASCII", "v\x85\xe2\x80\xa8\x8dX-Injected: 1"],
  ["nothing bad", "harmless"],
];
const said = (text: string) => SAID[Number(/\/(\d+)/.exec(text)?.[1] ?? 0)]![1];
const lines = (v: string) =>
  `X-User: ${v}\r\nX-Free: ${v}\r\nSet-Cookie: session=${v}\r\nLocation: http://other.test/${v}\r\n`;
const speaker = createServer((socket) => {
  socket.on("error", () => {});
  socket.on("data", (chunk) => {
    const text = chunk.toString("latin1");
    const status = text.includes("/refused") ? "401 No" : "200 OK";
    const headers = text.startsWith("GET /signin") ? "" : lines(said(text));
    socket.write(
      `HTTP/1.1 ${status}\r\n${headers}Content-Length: 2\r\nConnection: close\r\n\r\nok`,
      "latin1",
    );
    socket.end();
  });
});
await new Promise<void>((resolve) => speaker.listen(0, "127.0.0.1", resolve));
after(() => speaker.close());
const SPEAKER = `http://127.0.0.1:${(speaker.address() as { port: number }).port}`;
const REFUSING = `${SPEAKER}/signin/refused`;

/** One router for each place, or for each thing said. */
function configOf(value: string): string {
  const routers: Config = {};
  const middlewares: Config = {};
  const services: Config = {
    app: { loadBalancer: { servers: [{ url: app.url }] } },
    page: { loadBalancer: { servers: [{ url: page.url }] } },
  };
  for (const [i, place] of Object.values(PLACES).entries()) {
    const name = `p${i}`;
    routers[name] = {
      rule: `Host(\`${name}.test\`)`,
      service: place.service === undefined ? "app" : name,
      middlewares: place.middleware === undefined ? [] : [name],
    };
    if (place.middleware !== undefined) middlewares[name] = place.middleware(value);
    if (place.service !== undefined) services[name] = place.service(value);
  }
  // A YAML parser takes JSON for what it is.
  return JSON.stringify({ http: { routers, middlewares, services } });
}

function assertPlain(text: string, about: string): void {
  const end = text.indexOf("\r\n\r\n");
  const [first = "", ...rest] = text.slice(0, end).split("\r\n");
  assert.match(first, /^HTTP\/1\.1 \d{3} [\x20-\x7e]+$/, about);
  for (const line of rest) {
    assert.match(line, /^[!#$%&'*+.^_`|~0-9A-Za-z-]+: [\t\x20-\x7e\x80-\xff]*$/, `${about}: ${line}`);
    assert.doesNotMatch(line, /^x-injected/i, `${about}: ${line}`);
  }
  assert.equal(text.match(/HTTP\/1\.1 \d/g)?.length, 1, `${about}: ${text}`);
}

function assertServersPlain(about: string): void {
  for (const { path, headers } of [
    ...app.requests(),
    ...page.heard.flatMap((text) => readStrictly(text).requests),
  ]) {
    assert.doesNotMatch(path, /smuggled HTTP/, about);
    for (const [name] of headers) assert.doesNotMatch(name, /^x-injected/i, about);
  }
}

async function ask(port: number, host: string, place: Place, path = "/a"): Promise<string> {
  const { method = "GET", headers = "" } = place;
  return talk(port, `${method} ${path} HTTP/1.1\r\nHost: ${host}\r\n${headers}Connection: close\r\n\r\n`);
}

for (const [what, value] of PAYLOADS) {
  test(`HD-10 a configured value with ${what} adds no line to a head, wherever it stands`, async () => {
    await using product = await startProduct({ threads: 1, file: configOf(value) });
    const heardBy = { server: () => JSON.stringify(app.requests().at(-1)), page: () => page.heard.at(-1)! };
    for (const [i, name] of NAMES.entries()) {
      const place = PLACES[name]!;
      const text = await ask(product.ports.get("web")!, `p${i}.test`, place);
      const about = `${name}: ${what}`;
      assertPlain(text, about);
      assertServersPlain(about);
      if (value !== "harmless" || place.shows === "nobody") continue;
      const shown = place.shows === "client" ? text : heardBy[place.shows]();
      assert.match(shown, /harmless/i, about);
    }
  });
}

/** What clients may put into texts that replacements, redirects and pages are made of. */
const ASKED = [
  "/%0d%0aX-Injected:%201",
  "/a?b=%0d%0aX-Injected:%201",
  "/%E5%98%8A%E5%98%8DX-Injected:%201",
  "/%250d%250aX-Injected:1",
  "/a?%00%0a%0d",
  "/x%c4%8aX-Injected:1",
];

test("HD-10 PR-15 what a client asks for adds no line to a head, whatever is made of it", async () => {
  const rewrites: Readonly<Record<string, Config>> = {
    redirect: { redirectRegex: { regex: "^https?://[^/]+/(.*)", replacement: "http://other.test/$1" } },
    "redirect-same": { redirectRegex: { regex: "^https?://[^/]+/(.*)", replacement: "/to/$1" } },
    scheme: { redirectScheme: { scheme: "https" } },
    replace: { replacePathRegex: { regex: "^/(.*)", replacement: "/to/$1" } },
    whole: { replacePath: { path: "/to" } },
    prefix: { addPrefix: { prefix: "/to" } },
    strip: { stripPrefixRegex: { regex: ["/[^/]"] } },
    errors: { errors: { status: ["200"], service: "page", query: "/{status}?{url}" } },
    auth: { forwardAuth: { address: page.url, trustForwardHeader: true } },
    cors: { headers: { accessControlAllowCredentials: true, accessControlAllowOriginList: ["*"] } },
    headers: { headers: { customRequestHeaders: { "X-Set": "{{ .X }} {env.HOME}" } } },
  };
  const names = Object.keys(rewrites);
  await using product = await startProduct({
    threads: 1,
    flags: ["--entryPoints.web.forwardedHeaders.insecure=true"],
    file: JSON.stringify({
      http: {
        routers: Object.fromEntries(
          names.map((name) => [
            name,
            { rule: `Host(\`${name}.test\`)`, service: "app", middlewares: [name] },
          ]),
        ),
        middlewares: rewrites,
        services: {
          app: { loadBalancer: { sticky: { cookie: {} }, servers: [{ url: app.url }] } },
          page: { loadBalancer: { servers: [{ url: page.url }] } },
        },
      },
    }),
  });
  const headers = `X-Forwarded-Host: a\xe5\x8a\x8d\r\nX-Forwarded-Uri: /%0d%0a${LINE}\r\nX-Forwarded-Prefix: /%0a\r\nOrigin: \x8a\x8d\r\nCookie: _a=%0d%0a\r\n`;
  for (const name of names) {
    for (const path of ASKED) {
      for (const more of [
        "",
        "Access-Control-Request-Method: P\x8a\r\nAccess-Control-Request-Headers: \x8a\x8d\r\n",
      ]) {
        const place: Place = {
          headers: headers + more,
          method: more === "" ? "GET" : "OPTIONS",
          shows: "nobody",
        };
        assertPlain(await ask(product.ports.get("web")!, `${name}.test`, place, path), `${name} ${path}`);
      }
    }
  }
  assertServersPlain("what clients ask for");
});

test("HD-10 what an authentication service or a page says adds no line to a head", async () => {
  const middlewares: Config = {};
  const routers: Config = {};
  for (const [i] of SAID.entries()) {
    const copied = {
      authResponseHeaders: ["X-User"],
      authResponseHeadersRegex: "^X-Fr",
      addAuthCookiesToResponse: ["session"],
    };
    middlewares[`pass${i}`] = { forwardAuth: { address: `${SPEAKER}/${i}`, ...copied } };
    middlewares[`stop${i}`] = { forwardAuth: { address: `${SPEAKER}/${i}/refused`, ...copied } };
    middlewares[`page${i}`] = { errors: { status: ["200"], service: "speaker", query: `/${i}` } };
    for (const kind of ["pass", "stop", "page"])
      routers[`${kind}${i}`] = {
        rule: `Host(\`${kind}${i}.test\`)`,
        service: "app",
        middlewares: [`${kind}${i}`],
      };
    routers[`said${i}`] = { rule: `Host(\`said${i}.test\`)`, service: "speaker" };
  }
  const services = {
    app: { loadBalancer: { servers: [{ url: app.url }] } },
    speaker: { loadBalancer: { servers: [{ url: SPEAKER }] } },
  };
  const file = JSON.stringify({ http: { routers, middlewares, services } });
  await using product = await startProduct({ threads: 1, file });
  for (const [i, [what]] of SAID.entries()) {
    for (const kind of ["pass", "stop", "page", "said"]) {
      const text = await ask(product.ports.get("web")!, `${kind}${i}.test`, { shows: "nobody" }, `/${i}`);
      assertPlain(text, `${kind} ${what}`);
      assertServersPlain(`${kind} ${what}`);
      if (what === "nothing bad") assert.match(text, /harmless/, kind);
    }
  }
});

test("HD-10 a label's value adds no line to a head", async () => {
  const label = (value: string) => ({
    "traefik.http.routers.r.rule": "Host(`label.test`)",
    "traefik.http.routers.r.middlewares": "m,n",
    "traefik.http.middlewares.m.headers.customRequestHeaders.X-Set": value,
    "traefik.http.middlewares.n.headers.customResponseHeaders.X-Set": value,
    "traefik.http.services.r.loadBalancer.sticky.cookie.name": value,
    "traefik.http.services.r.loadBalancer.sticky.cookie.domain": value,
  });
  for (const [what, value] of PAYLOADS) {
    const containers = [{ name: "r", labels: label(value) }];
    await using product = await startProduct({ threads: 1, containers });
    const text = await ask(product.ports.get("web")!, "label.test", { shows: "nobody" });
    assertPlain(text, what);
    if (value === "harmless") assert.match(text, /X-Set: harmless/);
  }
});
