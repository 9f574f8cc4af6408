/** The proxy's own pages are on an entry point of their own, which nobody wonders about. */
export const isOwnElsewhere = ({
  router,
  reasons,
}: {
  readonly router: string;
  readonly reasons: readonly string[];
}): boolean => router.endsWith("@internal") && reasons[0]?.startsWith("it listens on ") === true;
