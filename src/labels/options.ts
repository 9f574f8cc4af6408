import type { TemplateContext } from "../lib/go-template.ts";
import type { DockerOptions } from "../model/provider-settings.ts";
import type { Place } from "../schema/node.ts";

/** What the settings say about reading labels: a provider's own options, and what only the whole of them knows. */
export interface LabelOptions
  extends Pick<
    DockerOptions,
    | "exposedByDefault"
    | "network"
    | "defaultRule"
    | "constraints"
    | "useBindPortIP"
    | "allowExternalUrls"
    | "exclusiveHosts"
  > {
  readonly provider: string;
  /** Where the settings were written, for problems in the default rule and the constraints. */
  readonly settingsPlace: (option: string) => Place;
  readonly shortForm: ShortForm;
  /** What the default rule's template may see. */
  readonly template: TemplateContext;
  /** Resolves `file:/run/secrets/x` and `env:NAME` in secret options. Throws `Unreadable`. */
  readonly secret: (reference: string) => string;
}

/** What the label `waybill=app.example.com` means: plain HTTP, or HTTPS with a redirect when there is a resolver. */
export interface ShortForm {
  /** Entry points for plain HTTP: where the router listens, or where the redirect does. */
  readonly plain: readonly string[];
  /** Undefined without a default certificate resolver. */
  readonly secure: { readonly entryPoints: readonly string[]; readonly certResolver: string } | undefined;
}
