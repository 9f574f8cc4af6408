import type { EntryPointSettings } from "../model/entry-point.ts";
import {
  ENABLE_CONNECT_PROTOCOL,
  ENABLE_PUSH,
  FLOW_CONTROL_ERROR,
  FRAME_BYTES_DEFAULT,
  FRAME_BYTES_LIMIT,
  HEADER_TABLE_SIZE,
  INITIAL_WINDOW_SIZE,
  MAX_CONCURRENT_STREAMS,
  MAX_FRAME_SIZE,
  MAX_HEADER_LIST_SIZE,
  NO_ERROR,
  PROTOCOL_ERROR,
  readUint32,
  WINDOW_LIMIT,
  writeUint32,
} from "../wire/http2-frames.ts";

const ENTRY_BYTES = 6;

/** The payload of our SETTINGS frame. */
export function ourSettings({ http, http2 }: EntryPointSettings): Buffer {
  const entries: (readonly [name: number, value: number])[] = [
    [HEADER_TABLE_SIZE, http2.maxDecoderHeaderTableSize],
    [MAX_CONCURRENT_STREAMS, http2.maxConcurrentStreams],
    [INITIAL_WINDOW_SIZE, http2.streamWindow],
    [MAX_HEADER_LIST_SIZE, http.maxHeaderBytes],
  ];
  if (http.upgrades.includes("websocket")) entries.push([ENABLE_CONNECT_PROTOCOL, 1]);
  const bytes = Buffer.alloc(entries.length * ENTRY_BYTES);
  entries.forEach(([name, value], i) => {
    bytes[i * ENTRY_BYTES + 1] = name;
    writeUint32(bytes, i * ENTRY_BYTES + 2, value);
  });
  return bytes;
}

export const settingsBytesMax = ({ http2 }: EntryPointSettings) =>
  Math.max(1, http2.maxSettings) * ENTRY_BYTES;

/** Who acts on what a client sets. Smaller frames than everybody must take are all we send, so that is not told. */
export interface SettingsTaker {
  tableSize(bytes: number): void;
  /** False when that makes a stream's window larger than there can be. */
  initialWindow(bytes: number): boolean;
}

/** Reads the entries of a client's SETTINGS in order. Gives an error code, or NO_ERROR. */
export function readSettings(bytes: Buffer, start: number, end: number, taker: SettingsTaker): number {
  for (let at = start; at < end; at += ENTRY_BYTES) {
    const code = readSetting((bytes[at]! << 8) | bytes[at + 1]!, readUint32(bytes, at + 2), taker);
    if (code !== NO_ERROR) return code;
  }
  return NO_ERROR;
}

function readSetting(name: number, value: number, taker: SettingsTaker): number {
  switch (name) {
    case HEADER_TABLE_SIZE:
      taker.tableSize(value);
      return NO_ERROR;
    case ENABLE_PUSH:
      return value > 1 ? PROTOCOL_ERROR : NO_ERROR;
    case INITIAL_WINDOW_SIZE:
      return value <= WINDOW_LIMIT && taker.initialWindow(value) ? NO_ERROR : FLOW_CONTROL_ERROR;
    case MAX_FRAME_SIZE:
      return value < FRAME_BYTES_DEFAULT || value > FRAME_BYTES_LIMIT ? PROTOCOL_ERROR : NO_ERROR;
    default:
      return NO_ERROR;
  }
}
