/** How requests for our own pages are marked on their way to the main thread: the control plane marks, `admin/` reads. */
export const OWN_PATHS = { dashboard: "/~dashboard", metrics: "/~metrics", ready: "/~ready" } as const;

/** Set on requests that came by a router of our own: nothing of the user's guards those, so we do. */
export const OWN_ROUTE_HEADER = "X-Waybill-Own-Route";
