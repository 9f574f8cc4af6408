/** How large a head may be. */
export interface HeadLimits {
  readonly lineBytesMax: number;
  readonly headBytesMax: number;
  readonly headersMax: number;
}

/** Why bytes are no request: codes of the fault catalogue, which this room does not know. */
export type RequestFault =
  | "bad-request"
  | "bad-framing"
  | "bad-header"
  | "bad-host"
  | "bad-target"
  | "bad-version"
  | "bad-expectation"
  | "bad-upgrade"
  | "encoded-character"
  | "method-refused"
  | "connect-refused"
  | "coding-refused"
  | "uri-too-long"
  | "headers-too-large";

/** Why bytes are no reply. */
export type ReplyFault = "bad-reply" | "reply-too-large";
