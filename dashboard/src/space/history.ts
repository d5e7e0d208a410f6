/** How the space went over the last hours: three small drawings on one axis of time. */

import { areaY, axisX, axisY, lineY } from "@observablehq/plot";
import type { Sample } from "../api.ts";
import { h, table } from "../element.ts";
import { clock, number, short } from "../words.ts";
import { drawing, Figure } from "./figure.ts";
import type { Picture } from "./picture.ts";

interface Moment extends Omit<Sample, "at"> {
  at: Date;
}

export class History {
  readonly #figure = new Figure("The last hours", ["The server takes a sample now and then, and keeps those of the last 48 hours. The band between head and horizon is what a client may have missed."], "h2");
  readonly element = this.#figure.element;

  update({ stats, space }: Picture): void {
    if (!stats) return;
    // The last sample may be some minutes old; the space as it is now stands at the end.
    const { head, horizon, records, tombstones } = space;
    const moments: Moment[] = [...stats.history.map((sample) => ({ ...sample, at: new Date(sample.at) })), { head, horizon, records, tombstones, at: new Date() }];
    const rows = stats.history.toReversed().map((sample) => [clock(sample.at), ...[sample.head, sample.horizon, sample.records, sample.tombstones].map(number)]);
    this.#figure.update(
      (width) => (moments.length < 3 ? "There are not enough samples yet: come back in a few minutes." : drawings(width, moments)),
      table("The space over time, the newest first", ["Time", "Head", "Horizon", "Records", "Tombstones"], rows, [1, 2, 3, 4]),
    );
  }

  close(): void {
    this.#figure.close();
  }
}

function drawings(width: number, moments: Moment[]): HTMLElement {
  const columns = width > 720 ? 3 : 1;
  const each = Math.floor((width - 24 * (columns - 1)) / columns);
  const { at: from } = moments[0]!;
  const hours = (moments.at(-1)!.at.getTime() - from.getTime()) / 3_600_000;
  const time = (at: Date) => (hours > 30 ? at.toLocaleString([], { weekday: "short", hour: "2-digit", minute: "2-digit" }) : at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }));
  const went = (what: string, key: "head" | "horizon" | "records" | "tombstones") => `${what} went from ${number(moments[0]![key])} to ${number(moments.at(-1)![key])}.`;
  const one = (title: string, words: string, marks: Parameters<typeof drawing>[1]["marks"], zero: boolean) =>
    h(
      "div",
      {},
      h("h3", {}, title),
      drawing(words, {
        width: each,
        height: 150,
        marginTop: 12,
        marginRight: 22,
        x: { type: "time", label: null },
        y: { label: null, zero, nice: true },
        marks: [
          axisY({ ticks: 3, tickFormat: short, tickSize: 0, label: null }),
          axisX({ ticks: each > 380 ? 4 : 2, tickFormat: time, tickSize: 4, label: null }),
          ...(marks ?? []),
        ],
      }),
    );
  const curve = "step-after" as const;
  const single = (title: string, key: "records" | "tombstones") =>
    one(
      title,
      went(title, key),
      [
        areaY(moments, { x: "at", y: key, curve, fill: "var(--kept)", fillOpacity: 0.18 }),
        lineY(moments, { x: "at", y: key, curve, stroke: "var(--kept)", strokeWidth: 2 }),
      ],
      true,
    );
  return h(
    "div",
    { class: columns === 3 ? "three" : "one" },
    one(
      "Head and horizon",
      `${went("The head", "head")} ${went("The horizon", "horizon")}`,
      [
        areaY(moments, { x: "at", y1: "horizon", y2: "head", curve, fill: "var(--tide)", fillOpacity: 0.14 }),
        lineY(moments, { x: "at", y: "head", curve, stroke: "var(--tide)", strokeWidth: 2 }),
        lineY(moments, { x: "at", y: "horizon", curve, stroke: "var(--ink)", strokeWidth: 2, strokeDasharray: "4,3" }),
      ],
      false,
    ),
    single("Records", "records"),
    single("Tombstones", "tombstones"),
    h("p", { class: "soft key" }, h("span", { class: "line head", "aria-hidden": "true" }), "head", h("span", { class: "line horizon", "aria-hidden": "true" }), "horizon"),
  );
}
