/** Numbers, sizes, spans and times as people read them. */

const NUMBER = new Intl.NumberFormat("en");

export const number = (value: number): string => NUMBER.format(value);

/** `1 tombstone`, `2 tombstones`. */
export const count = (value: number, one: string, many = `${one}s`): string => `${number(value)} ${value === 1 ? one : many}`;

export function bytes(value: number): string {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  let at = 0;
  let rest = value;
  while (rest >= 1000 && at < units.length - 1) {
    rest /= 1000;
    at += 1;
  }
  if (at === 0) return count(value, "byte");
  return `${rest >= 100 ? Math.round(rest) : Math.round(rest * 10) / 10} ${units[at]}`;
}

/** Short, for an axis: `1.2k`. */
export function short(value: number): string {
  return new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 }).format(value);
}

const UNITS: Record<string, [seconds: number, name: string]> = {
  s: [1, "second"],
  m: [60, "minute"],
  h: [3600, "hour"],
  d: [86_400, "day"],
  w: [604_800, "week"],
};

/** The seconds of a window as the API writes it: `30d`. Infinity for `forever`. */
export function seconds(window: string): number {
  if (window === "forever") return Infinity;
  const [, digits, unit] = /^(\d+)([smhdw])$/.exec(window) ?? [];
  return digits === undefined ? NaN : Number(digits) * UNITS[unit ?? "s"]![0];
}

/** A window in words: `30 days`. */
export function span(window: string): string {
  if (window === "forever") return "forever";
  const [, digits, unit] = /^(\d+)([smhdw])$/.exec(window) ?? [];
  return digits === undefined ? window : count(Number(digits), UNITS[unit ?? "s"]![1]);
}

/** How long ago, of a time as the API writes it. */
export function ago(time: string, now = Date.now()): string {
  const gone = Math.max(0, (now - Date.parse(time)) / 1000);
  if (gone < 45) return "just now";
  const [size, name] = gone < 3570 ? UNITS["m"]! : gone < 84_600 ? UNITS["h"]! : UNITS["d"]!;
  return `${count(Math.round(gone / size), name)} ago`;
}

/** A time as the reader's own clock has it. */
export const clock = (time: string): string => new Date(time).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
