import { nameOnly as gone, group, list, mapOf } from "../schema/composites.ts";
import { bool, count, duration, size, text } from "../schema/kinds.ts";
import type { Values } from "../schema/option.ts";
import { clientTls } from "./client-tls.ts";

/** Where routes come from. */

/** What a later issue brings: declared whole, and refused until it works. */
const LATER = "it comes with a later release";
const LATER_FILE = "it comes with a later release; fetch the routes yourself into a file of providers.file";

const DEFAULT_RULE = "Host(`{{ normalize .Name }}`)";

const engine = {
  endpoint: text({
    doc: "Where the engine listens: unix://, tcp://, http://, https:// or ssh://.",
    default: "unix:///var/run/docker.sock",
    example: "tcp://socket-proxy:2375",
  }),
  username: text({ doc: "User for basic authentication at the endpoint.", default: "" }),
  password: text({ doc: "Its password.", default: "", secret: true }),
  tls: clientTls({ doc: "TLS towards the endpoint." }),
  httpClientTimeout: duration({ doc: "How long one call may take; 0 for 10 s.", default: "0" }),
  exposedByDefault: bool({ doc: "Route containers without an enabling label too.", default: "true" }),
  network: text({
    doc: "Network to reach containers by; one that Waybill shares with them if empty.",
    default: "",
  }),
  defaultRule: text({ doc: "Rule of routers that have none, as a Go template.", default: DEFAULT_RULE }),
  constraints: text({
    doc: "Only containers whose labels fulfil this expression.",
    default: "",
    example: "Label(`stage`, `production`)",
  }),
  allowEmptyServices: bool({
    doc: "Keep services whose containers are starting or unhealthy.",
    default: "true",
    obsolete: "such services are always kept, and say in their 503 why they have no server",
  }),
  useBindPortIP: bool({ doc: "Reach containers by their published port.", default: "false" }),
  watch: bool({ doc: "Follow changes; otherwise read once.", default: "true" }),
};

export const dockerOptions = {
  ...engine,
  allowExternalUrls: bool({
    doc: "Let the label server.url name hosts that are not containers of this engine.",
    default: "true",
    added: true,
  }),
  exclusiveHosts: bool({
    doc: "A host belongs to the compose project that named it first; others' routers for it are refused, and so are routers that name no host.",
    default: "false",
    added: true,
  }),
  swarmMode: bool({
    doc: "Removed.",
    default: "false",
    refused: "it was removed from Traefik v3; use providers.swarm",
  }),
};
export type DockerOptions = Values<typeof dockerOptions>;

const swarmOptions = {
  ...engine,
  refreshSeconds: duration({ doc: "Time between two looks at the services.", default: "15s" }),
};

export const fileOptions = {
  filename: text({
    doc: "One file of dynamic configuration.",
    default: "",
    example: "/etc/waybill/routes.yml",
  }),
  directory: text({
    doc: "A directory of such files, with those below it; wins over filename.",
    default: "",
  }),
  watch: bool({ doc: "Follow changes.", default: "true" }),
  debugLogGeneratedTemplate: bool({ doc: "Log each file as its template rendered it.", default: "false" }),
};
export type FileOptions = Values<typeof fileOptions>;

const httpOptions = {
  endpoint: text({ doc: "Address to fetch dynamic configuration from.", required: true }),
  pollInterval: duration({ doc: "Time between two fetches.", default: "5s" }),
  pollTimeout: duration({ doc: "How long one fetch may take.", default: "5s" }),
  maxResponseBodySize: size({ doc: "Largest answer; -1 for 16 MiB.", default: "-1" }),
  headers: mapOf(text)({ doc: "Headers of the request.", secret: true }),
  tls: clientTls({ doc: "TLS towards the endpoint." }),
};

const redisOptions = {
  endpoints: list(text)({ doc: "Addresses of the servers.", default: "127.0.0.1:6379" }),
  rootKey: text({ doc: "First part of every key.", default: "traefik" }),
  username: text({ doc: "User name.", default: "" }),
  password: text({ doc: "Password.", default: "", secret: true }),
  db: count({ doc: "Number of the database.", default: "0" }),
  tls: clientTls({ doc: "TLS towards the servers." }),
  sentinel: group({
    masterName: text({ doc: "Name of the master that sentinels watch.", default: "" }),
    username: text({ doc: "User name at the sentinels.", default: "" }),
    password: text({ doc: "Password at the sentinels.", default: "", secret: true }),
    latencyStrategy: bool({
      doc: "Read from the nearest node.",
      default: "false",
      refused: "reads go to the master",
    }),
    randomStrategy: bool({ doc: "Read from any node.", default: "false", refused: "reads go to the master" }),
    replicaStrategy: bool({
      doc: "Read from replicas.",
      default: "false",
      refused: "reads go to the master",
    }),
    useDisconnectedReplicas: bool({
      doc: "Use replicas that lost their master.",
      default: "false",
      refused: "reads go to the master",
    }),
  })({ doc: "Find the master through sentinels." }),
};

export const PRECEDENCE = "swarm,docker,file,redis,http,rest";

export const NOT_DOCKER =
  "Waybill serves containers on Docker; describe these routes in a file of providers.file instead";

export const providers = group({
  providersThrottleDuration: duration({
    doc: "Shortest time between two applied configurations of one provider; the first is applied at once.",
    default: "100ms",
  }),
  precedence: list(text)({
    doc: "Whose router is tried first among equal priorities.",
    default: PRECEDENCE,
  }),
  docker: group(dockerOptions, { enabler: true })({ doc: "Containers and their labels." }),
  swarm: group(swarmOptions, { enabler: true })({ doc: "Swarm services and their labels.", refused: LATER }),
  file: group(fileOptions, { enabler: true })({ doc: "Files of dynamic configuration." }),
  http: group(httpOptions, { enabler: true })({
    doc: "Dynamic configuration from a web address.",
    refused: LATER_FILE,
  }),
  redis: group(redisOptions, { enabler: true })({
    doc: "Dynamic configuration in Redis.",
    refused: LATER_FILE,
  }),
  rest: gone({
    doc: "Dynamic configuration by PUT.",
    refused: "configuration is never taken from a request; use providers.http, which fetches it",
  }),
  kubernetesCRD: gone({ doc: "Kubernetes.", refused: NOT_DOCKER }),
  kubernetesIngress: gone({ doc: "Kubernetes.", refused: NOT_DOCKER }),
  kubernetesIngressNGINX: gone({ doc: "Kubernetes.", refused: NOT_DOCKER }),
  kubernetesGateway: gone({ doc: "Kubernetes.", refused: NOT_DOCKER }),
  knative: gone({ doc: "Kubernetes.", refused: NOT_DOCKER }),
  consul: gone({ doc: "Consul.", refused: NOT_DOCKER }),
  consulCatalog: gone({ doc: "Consul.", refused: NOT_DOCKER }),
  nomad: gone({ doc: "Nomad.", refused: NOT_DOCKER }),
  etcd: gone({ doc: "etcd.", refused: NOT_DOCKER }),
  zooKeeper: gone({ doc: "ZooKeeper.", refused: NOT_DOCKER }),
  ecs: gone({ doc: "Amazon ECS.", refused: NOT_DOCKER }),
  plugin: gone({
    doc: "Provider plug-ins.",
    refused: "Traefik's plug-ins are Go programs that cannot run here",
  }),
  marathon: gone({ doc: "Removed.", refused: "it was removed from Traefik v3" }),
  rancher: gone({ doc: "Removed.", refused: "it was removed from Traefik v3" }),
});
