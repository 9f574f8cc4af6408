/** Line icons, drawn here so that nothing is fetched. 16 by 16. */
const PATHS = {
  overview: "M2.5 9.5 5.5 6l3 2.5L13.5 3M2.5 13.5h11",
  explain: "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12ZM6.2 6.3a1.9 1.9 0 1 1 2.6 1.8c-.5.2-.8.5-.8 1M8 11.2v.1",
  requests: "M2 4.5h8M2 8h12M2 11.5h6M12 3l2 1.5L12 6",
  routers: "M3 3v3a2 2 0 0 0 2 2h8M3 8v5M10.5 5.5 13 8l-2.5 2.5",
  middlewares: "M2.5 3.5h11L9.5 8.5v4l-3 1v-5z",
  services: "M2.5 3h11v4h-11zM2.5 9h11v4h-11zM5 5h.1M5 11h.1",
  containers: "M8 1.8 13.5 5v6L8 14.2 2.5 11V5zM2.5 5 8 8.2 13.5 5M8 8.2v6",
  certificates: "M8 1.8 13 4v4c0 3-2.2 5-5 6.2C5.200 13 3 11 3 8V4zM5.800 8l1.600 1.600L10.400 6.500",
  problems: "M8 2.200 14.200 13.200H1.800zM8 6.500v3M8 11.400v.1",
  settings: "M2 4.500h6M12 4.500h2M2 11.500h2M8 11.500h6M10 3v3M6 10v3",
  auto: "M8 2.500a5.500 5.500 0 1 0 0 11zM8 2.500a5.500 5.500 0 0 1 0 11",
  light:
    "M8 5a3 3 0 1 0 0 6 3 3 0 0 0 0-6ZM8 1.500v1M8 13.500v1M1.500 8h1M13.500 8h1M3.400 3.400l.7.7M11.900 11.900l.7.7M3.400 12.600l.7-.7M11.900 4.100l.7-.7",
  dark: "M13.500 9.500A6 6 0 0 1 6.500 2.500a6 6 0 1 0 7 7Z",
  menu: "M2 4h12M2 8h12M2 12h12",
  lock: "M4 7.500h8v6H4zM5.500 7.500v-2a2.500 2.500 0 0 1 5 0v2",
  arrow: "M3 8h10M9.500 4.500 13 8l-3.500 3.500",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { readonly name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 16 16" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}
