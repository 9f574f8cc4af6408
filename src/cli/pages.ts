import type { RequestListener } from "node:http";
import { createPages } from "../admin/pages.ts";
import type { Runtime } from "../model/runtime.ts";
import { loadDashboard } from "./dashboard-files.ts";

/** The proxy's own pages: API, dashboard and metrics. */
export function makePages(runtime: Runtime): RequestListener {
  return createPages(runtime, loadDashboard);
}
