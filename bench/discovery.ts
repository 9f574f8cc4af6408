import { startProduct } from "../test/e2e/harness.ts";

/**
 * How long from a container's start event until its route serves, with 1,000 others running; and how long from the
 * product's start until 5,000 containers are routed. `node bench/discovery.ts [others] [starts] [many]`
 */
const [others = 1000, starts = 30, many = 5000] = process.argv.slice(2).map(Number);

function idle(count: number) {
  return Array.from({ length: count }, (_, i) => ({
    name: `idle-${i}`,
    labels: { [`traefik.http.routers.idle-${i}.rule`]: `Host(\`idle-${i}.test\`)` },
    serve: false,
  }));
}

async function timeStarts(): Promise<void> {
  await using product = await startProduct({
    containers: idle(others),
    flags: ["--providers.providersThrottleDuration=100ms"],
  });
  const times: number[] = [];
  for (let i = 0; i < starts; i++) {
    const name = `new-${i}`;
    const labels = { [`traefik.http.routers.${name}.rule`]: `Host(\`${name}.test\`)` };
    const created = product.demo.engine.create({ name, labels });
    // One start at a time, as people do it; bursts are another question.
    await new Promise((resolve) => setTimeout(resolve, 500));
    const fromMs = performance.now();
    await product.demo.engine.start(created);
    while ((await product.get(`${name}.test`)).status !== 200);
    times.push(performance.now() - fromMs);
  }
  times.sort((a, b) => a - b);
  const at = (share: number) =>
    `${times[Math.min(times.length - 1, Math.floor(times.length * share))]!.toFixed(0)} ms`;
  process.stdout.write(
    `start event to serving, ${others} others: median ${at(0.5)}, p90 ${at(0.9)}, worst ${at(1)}\n`,
  );
}

async function timeMany(): Promise<void> {
  const fromMs = performance.now();
  let engineMs = 0;
  await using product = await startProduct({
    containers: idle(many),
    started: () => (engineMs = performance.now() - fromMs),
  });
  const readyMs = performance.now() - fromMs - engineMs;
  // Nothing listens there, so being routed shows as 502 and not as 404.
  const last = await product.get(`idle-${many - 1}.test`);
  const routed = product.runtime.report().routers.size;
  process.stdout.write(
    `${many} containers: ${routed} routers in ${readyMs.toFixed(0)} ms from start to serving (the last answers ${last.status})\n`,
  );
}

await timeStarts();
await timeMany();
process.exit(0);
