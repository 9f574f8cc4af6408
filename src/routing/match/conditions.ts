import type { CidrSet } from "../../lib/cidr.ts";
import type { GoRegexp } from "../../lib/go-regexp.ts";
import type { Exchange } from "../../model/exchange.ts";
import { sameName } from "../../model/headers.ts";
import { queryValues, routingPath, textOf } from "./request-text.ts";

/** What a rule asks of a request. Made when a table is compiled; asking it changes nothing. */
export interface Condition {
  holds(exchange: Exchange): boolean;
}

export class All implements Condition {
  readonly parts: readonly Condition[];

  constructor(parts: readonly Condition[]) {
    this.parts = parts;
  }

  holds(exchange: Exchange): boolean {
    for (let i = 0; i < this.parts.length; i++) {
      if (!this.parts[i]!.holds(exchange)) return false;
    }
    return true;
  }
}

export class Any implements Condition {
  readonly parts: readonly Condition[];

  constructor(parts: readonly Condition[]) {
    this.parts = parts;
  }

  holds(exchange: Exchange): boolean {
    for (let i = 0; i < this.parts.length; i++) {
      if (this.parts[i]!.holds(exchange)) return true;
    }
    return false;
  }
}

export class Not implements Condition {
  readonly part: Condition;

  constructor(part: Condition) {
    this.part = part;
  }

  holds(exchange: Exchange): boolean {
    return !this.part.holds(exchange);
  }
}

export class HostIs implements Condition {
  readonly host: string;

  /** Lower-case, without a trailing dot. */
  constructor(host: string) {
    this.host = host;
  }

  holds(exchange: Exchange): boolean {
    return exchange.host === this.host;
  }
}

/** `Host(`*`)`: also a request without a host. */
export class AnyHost implements Condition {
  holds(): boolean {
    return true;
  }
}

/** Exactly one label before the suffix, as in certificates: `*.example.com` is not `a.b.example.com`. */
export class HostUnder implements Condition {
  /** With its leading dot. */
  readonly suffix: string;

  constructor(suffix: string) {
    this.suffix = suffix;
  }

  holds({ host }: Exchange): boolean {
    const labelEnd = host.length - this.suffix.length;
    return labelEnd > 0 && host.indexOf(".") === labelEnd && host.endsWith(this.suffix);
  }
}

export class HostMatches implements Condition {
  readonly regexp: GoRegexp;

  constructor(regexp: GoRegexp) {
    this.regexp = regexp;
  }

  holds(exchange: Exchange): boolean {
    return this.regexp.test(exchange.host);
  }
}

export class PathIs implements Condition {
  readonly path: string;

  /** Escaped as an exchange's path is. */
  constructor(path: string) {
    this.path = path;
  }

  holds(exchange: Exchange): boolean {
    return exchange.path === this.path;
  }
}

/** A prefix of characters, not of segments: `/foo` is a prefix of `/foobar`. */
export class PathStarts implements Condition {
  readonly prefix: string;

  constructor(prefix: string) {
    this.prefix = prefix;
  }

  holds(exchange: Exchange): boolean {
    return exchange.path.startsWith(this.prefix);
  }
}

export class PathMatches implements Condition {
  readonly regexp: GoRegexp;

  constructor(regexp: GoRegexp) {
    this.regexp = regexp;
  }

  holds(exchange: Exchange): boolean {
    return this.regexp.test(routingPath(exchange.path));
  }
}

/** For templates of the v2 syntax, which see the path as it is sent. */
export class EscapedPathMatches implements Condition {
  readonly regexp: GoRegexp;

  constructor(regexp: GoRegexp) {
    this.regexp = regexp;
  }

  holds(exchange: Exchange): boolean {
    return this.regexp.test(exchange.path);
  }
}

export class MethodIs implements Condition {
  readonly method: string;

  constructor(method: string) {
    this.method = method;
  }

  holds(exchange: Exchange): boolean {
    return exchange.method === this.method;
  }
}

/** One of the header's lines is exactly that value. */
export class HeaderIs implements Condition {
  readonly lowerName: string;
  readonly value: string;

  /** The value as bytes, one character each, which is how header values travel. */
  constructor(lowerName: string, value: string) {
    this.lowerName = lowerName;
    this.value = value;
  }

  holds({ headers }: Exchange): boolean {
    for (let i = 0; i < headers.length; i += 2) {
      if (headers[i + 1] === this.value && sameName(headers[i]!, this.lowerName)) return true;
    }
    return false;
  }
}

export class HeaderThere implements Condition {
  readonly lowerName: string;

  constructor(lowerName: string) {
    this.lowerName = lowerName;
  }

  holds({ headers }: Exchange): boolean {
    for (let i = 0; i < headers.length; i += 2) {
      if (sameName(headers[i]!, this.lowerName)) return true;
    }
    return false;
  }
}

export class HeaderMatches implements Condition {
  readonly lowerName: string;
  readonly regexp: GoRegexp;

  constructor(lowerName: string, regexp: GoRegexp) {
    this.lowerName = lowerName;
    this.regexp = regexp;
  }

  holds({ headers }: Exchange): boolean {
    for (let i = 0; i < headers.length; i += 2) {
      if (sameName(headers[i]!, this.lowerName) && this.regexp.test(textOf(headers[i + 1]!))) return true;
    }
    return false;
  }
}

/** One of the parameter's values is exactly that. */
export class QueryIs implements Condition {
  readonly key: string;
  readonly value: string;

  constructor(key: string, value: string) {
    this.key = key;
    this.value = value;
  }

  holds({ query }: Exchange): boolean {
    return query !== undefined && queryValues(query, this.key).includes(this.value);
  }
}

export class QueryMatches implements Condition {
  readonly key: string;
  readonly regexp: GoRegexp;
  /** The v2 syntax looks at the first value only. */
  readonly firstOnly: boolean;

  constructor(key: string, regexp: GoRegexp, firstOnly: boolean) {
    this.key = key;
    this.regexp = regexp;
    this.firstOnly = firstOnly;
  }

  holds({ query }: Exchange): boolean {
    if (query === undefined) return false;
    const values = queryValues(query, this.key);
    const end = this.firstOnly ? Math.min(1, values.length) : values.length;
    for (let i = 0; i < end; i++) {
      if (this.regexp.test(values[i]!)) return true;
    }
    return false;
  }
}

/** The peer of the connection, whatever the forwarded headers say. */
export class ClientIpIn implements Condition {
  readonly range: CidrSet;

  constructor(range: CidrSet) {
    this.range = range;
  }

  holds(exchange: Exchange): boolean {
    return this.range.has(exchange.connection.peerIp);
  }
}
