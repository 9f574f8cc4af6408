/** One reply of HTTP/1.1 as its client understands it. */
export interface Got {
  readonly status: number;
  readonly closes: boolean;
  /** Nothing of it is missing. */
  readonly isWhole: boolean;
}

/**
 * The final replies in what a client was sent, the requests' methods in their order, and the bytes behind the last one
 * that belong to none. What comes after a switch to another protocol is not looked at.
 */
export function repliesIn(
  text: string,
  methods: readonly string[],
): { readonly replies: Got[]; readonly rest: string } {
  const replies: Got[] = [];
  for (let at = 0; ; ) {
    const end = text.indexOf("\r\n\r\n", at);
    const [, code] = /^HTTP\/1\.1 (\d{3}) /.exec(text.slice(at, at + 13)) ?? [];
    if (end < 0 || code === undefined) return { replies, rest: text.slice(at) };
    const head = text.slice(at, end + 2);
    const status = Number(code);
    at = end + 4;
    if (status === 101) return { replies, rest: "" };
    if (status < 200) continue;
    const hasNoBody = methods[replies.length] === "HEAD" || status === 204 || status === 304;
    const bodyEnd = hasNoBody ? at : endOfBody(text, at, head);
    const isWhole = bodyEnd <= text.length;
    replies.push({ status, closes: /^connection: close\r$/im.test(head), isWhole });
    if (!isWhole) return { replies, rest: "" };
    at = bodyEnd;
  }
}

/** Infinity for a body of which not all has come, as far as anybody can tell. */
function endOfBody(text: string, from: number, head: string): number {
  const [, length] = /^content-length: (\d+)\r$/im.exec(head) ?? [];
  if (length !== undefined) return from + Number(length);
  if (!/^transfer-encoding: chunked\r$/im.test(head)) return Number.POSITIVE_INFINITY;
  for (let at = from; ; ) {
    const lineEnd = text.indexOf("\r\n", at);
    if (lineEnd < 0) return Number.POSITIVE_INFINITY;
    const size = Number.parseInt(text.slice(at, lineEnd), 16);
    at = lineEnd + 2;
    if (size > 0) at += size + 2;
    else {
      const end = text.startsWith("\r\n", at) ? at + 2 : text.indexOf("\r\n\r\n", at) + 4;
      return end < at ? Number.POSITIVE_INFINITY : end;
    }
  }
}
