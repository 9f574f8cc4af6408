import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Ports of everything a run starts. */
export const BACKEND_PORT = 18080;
export const HOST = "localhost";

/** A proxy under test: one thread, one core, plain HTTP on one port and TLS on the next. */
export interface Proxy {
  readonly name: string;
  readonly version: string;
  readonly port: number;
  readonly start: () => ChildProcess;
}

const PROXY_CORE = "0";

/** Runs a command on one core. */
export function pinned(core: string, command: string, args: readonly string[]): ChildProcess {
  // A group of its own, so that the CPU time of all its processes can be added up.
  return spawn("taskset", ["-c", core, command, ...args], { stdio: "ignore", detached: true });
}

function versionOf(command: string, args: readonly string[]): string | undefined {
  try {
    const text = execFileSync(command, args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
    return /\d+\.\d+(?:\.\d+)?/.exec(text)?.[0] ?? "?";
  } catch {
    return undefined;
  }
}

/** nginx writes its version to standard error, which only the shell can catch here. */
function nginxVersion(): string | undefined {
  return versionOf("sh", ["-c", "nginx -v 2>&1"]);
}

export interface WaybillOptions {
  readonly routers: number;
  readonly middlewares: number;
}

export function installedProxies(dir: string, against: readonly { name: string; root: string }[]): Proxy[] {
  mkdirSync(dir, { recursive: true });
  if (!existsSync(join(dir, "cert.pem"))) makeCertificate(dir);
  const found: Proxy[] = [];
  const nginx = nginxVersion();
  if (nginx !== undefined)
    found.push({ name: "nginx", version: nginx, port: 18100, start: () => startNginx(dir, 18100) });
  const haproxy = versionOf("haproxy", ["-v"]);
  if (haproxy !== undefined)
    found.push({ name: "HAProxy", version: haproxy, port: 18110, start: () => startHaproxy(dir, 18110) });
  const caddy = versionOf("caddy", ["version"]);
  if (caddy !== undefined)
    found.push({ name: "Caddy", version: caddy, port: 18120, start: () => startCaddy(dir, 18120) });
  for (const [i, { name, root }] of against.entries()) {
    const port = 18130 + i * 10;
    const options = { routers: 1000, middlewares: 0 };
    found.push({
      name,
      version: process.versions.node,
      port,
      start: () => startWaybill(dir, root, port, options),
    });
  }
  return found;
}

function makeCertificate(dir: string): void {
  const key = join(dir, "key.pem");
  const cert = join(dir, "cert.pem");
  const args = `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj /CN=${HOST} -addext subjectAltName=DNS:${HOST}`;
  execFileSync("openssl", [...args.split(" "), "-keyout", key, "-out", cert], { stdio: "ignore" });
  writeFileSync(join(dir, "both.pem"), readFileSync(cert, "utf8") + readFileSync(key, "utf8"));
}

function startNginx(dir: string, port: number): ChildProcess {
  const temp = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
    (n) => `${n}_temp_path ${dir}/ng-${n};`,
  );
  const file = join(dir, "nginx.conf");
  writeFileSync(
    file,
    `worker_processes 1; daemon off; pid ${dir}/nginx.pid; error_log /dev/null;
events { worker_connections 32768; }
http { access_log off; ${temp.join(" ")} keepalive_requests 1000000000; client_max_body_size 100m;
upstream app { server 127.0.0.1:${BACKEND_PORT}; keepalive 256; keepalive_requests 1000000000; }
server { listen 127.0.0.1:${port} reuseport; listen 127.0.0.1:${port + 1} ssl http2; server_name ${HOST};
ssl_certificate ${dir}/cert.pem; ssl_certificate_key ${dir}/key.pem; ssl_protocols TLSv1.2 TLSv1.3;
location / { proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $http_host;
proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-Host $http_host;
proxy_set_header X-Real-IP $remote_addr; proxy_request_buffering off; }
location /ws { proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection upgrade; proxy_set_header Upgrade $http_upgrade;
proxy_set_header Host $http_host; proxy_set_header X-Forwarded-For $remote_addr; } } }
`,
  );
  return pinned(PROXY_CORE, "nginx", ["-c", file]);
}

function startHaproxy(dir: string, port: number): ChildProcess {
  const file = join(dir, "haproxy.cfg");
  writeFileSync(
    file,
    `global
  nbthread 1
  maxconn 9900
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  option forwardfor
  http-reuse always
frontend web
  bind 127.0.0.1:${port}
  bind 127.0.0.1:${port + 1} ssl crt ${dir}/both.pem alpn h2,http/1.1
  use_backend app if { hdr(host),field(1,:) -i ${HOST} }
backend app
  server one 127.0.0.1:${BACKEND_PORT}
`,
  );
  return pinned(PROXY_CORE, "haproxy", ["-db", "-f", file]);
}

function startCaddy(dir: string, port: number): ChildProcess {
  const file = join(dir, "Caddyfile");
  writeFileSync(
    file,
    `{
  admin off
  auto_https off
}
http://${HOST}:${port} {
  reverse_proxy 127.0.0.1:${BACKEND_PORT}
}
https://${HOST}:${port + 1} {
  tls ${dir}/cert.pem ${dir}/key.pem
  reverse_proxy 127.0.0.1:${BACKEND_PORT}
}
`,
  );
  return pinned(PROXY_CORE, "env", [
    "GOMAXPROCS=1",
    "caddy",
    "run",
    "--config",
    file,
    "--adapter",
    "caddyfile",
  ]);
}

/** The whole product: routers from a file, metrics on, access log off. */
export function startWaybill(dir: string, root: string, port: number, options: WaybillOptions): ChildProcess {
  const file = join(dir, `routes-${port}.json`);
  const names = Array.from({ length: options.middlewares }, (_, i) => `look${i}`);
  const routers: Record<string, unknown> = {};
  const router = (host: string, tls: boolean) => ({
    rule: `Host(\`${host}\`)`,
    service: "app",
    entryPoints: [tls ? "websecure" : "web"],
    middlewares: names,
    ...(tls && { tls: {} }),
  });
  for (let i = 1; i < options.routers; i++) routers[`other${i}`] = router(`host${i}.example.com`, false);
  routers["app"] = router(HOST, false);
  routers["secure"] = router(HOST, true);
  const config = {
    http: {
      routers,
      services: { app: { loadBalancer: { servers: [{ url: `http://127.0.0.1:${BACKEND_PORT}` }] } } },
      ...(names.length > 0 && {
        middlewares: Object.fromEntries(
          names.map((name, i) => [name, { headers: { customRequestHeaders: { [`X-Look-${i}`]: "1" } } }]),
        ),
      }),
    },
    tls: { certificates: [{ certFile: join(dir, "cert.pem"), keyFile: join(dir, "key.pem") }] },
  };
  writeFileSync(file, JSON.stringify(config));
  return pinned(PROXY_CORE, process.execPath, [
    join(root, "bin/waybill.js"),
    "--threads=1",
    "--log.level=ERROR",
    `--entrypoints.web.address=127.0.0.1:${port}`,
    "--entrypoints.web.transport.keepAliveMaxRequests=0",
    "--entrypoints.web.transport.maxConnectionsPerIP=0",
    `--entrypoints.websecure.address=127.0.0.1:${port + 1}`,
    "--entrypoints.websecure.transport.keepAliveMaxRequests=0",
    "--entrypoints.websecure.transport.maxConnectionsPerIP=0",
    "--metrics.prometheus=true",
    `--entrypoints.traefik.address=127.0.0.1:${port + 2}`,
    `--providers.file.filename=${file}`,
  ]);
}
