import { inOnePiece } from "./access-log-text.ts";

/** Writes times that mostly go forward: within one second only the last digits differ. */
abstract class Clock {
  #second = -1;
  #before = "";
  #after = "";
  readonly #first: string;
  readonly #last: string;

  /** `first` and `last` are put around every text. */
  constructor(first = "", last = "") {
    this.#first = first;
    this.#last = last;
  }

  text(ms: number): string {
    const whole = Math.floor(ms);
    const second = Math.floor(whole / 1000);
    if (second !== this.#second) {
      this.#second = second;
      const [before, after] = this.around(second);
      this.#before = inOnePiece(this.#first + before);
      this.#after = inOnePiece(after + this.#last);
    }
    return this.#before + this.digits(whole - second * 1000) + this.#after;
  }

  /** What stands before and after the digits of that second. */
  protected abstract around(second: number): [before: string, after: string];

  protected digits(ms: number): string {
    return `${ms < 10 ? ".00" : ms < 100 ? ".0" : "."}${ms}`;
  }
}

/** `2026-01-31T12:00:00.123Z`. */
export class UtcClock extends Clock {
  protected around(second: number): [string, string] {
    return [isoSecond(second), "Z"];
  }
}

/** `2026-01-31T13:00:00.123+01:00`, in the zone of the process. */
export class LocalClock extends Clock {
  protected around(second: number): [string, string] {
    return localSecond(second);
  }
}

/** `2026-01-31T13:00:00+01:00`. */
export class SecondClock extends LocalClock {
  protected override digits(): string {
    return "";
  }
}

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** `31/Jan/2026:12:00:00 +0000`, as the Common Log Format has it. */
export class ClfClock extends SecondClock {
  protected override around(second: number): [string, string] {
    const [date, time] = isoSecond(second).split("T") as [string, string];
    const [year, month, day] = date.split("-");
    return [`${day}/${MONTHS[Number(month) - 1]}/${year}:${time} +0000`, ""];
  }
}

const isoSecond = (second: number) => new Date(second * 1000).toISOString().slice(0, 19);

function localSecond(second: number): [string, string] {
  const aheadMinutes = -new Date(second * 1000).getTimezoneOffset();
  if (aheadMinutes === 0) return [isoSecond(second), "Z"];
  const size = Math.abs(aheadMinutes);
  const two = (n: number) => String(n).padStart(2, "0");
  const zone = `${aheadMinutes < 0 ? "-" : "+"}${two(Math.floor(size / 60))}:${two(size % 60)}`;
  return [isoSecond(second + aheadMinutes * 60), zone];
}
