/** How old the tombstones are, with the window in it: what lies right of it goes. */

import { axisX, axisY, rectY, ruleX, ruleY, text } from "@observablehq/plot";
import { table } from "../element.ts";
import { type Bin, bins, place } from "../model.ts";
import { count, number, seconds, short, span } from "../words.ts";
import { drawing, Figure } from "./figure.ts";
import type { Picture } from "./picture.ts";

export class Ages {
  readonly #figure = new Figure("Age of the tombstones", [
    "Each bar counts the tombstones of one age. The line is the window: ",
    "what is older, to the right of it, hatched, would be purged.",
  ], "h3");
  readonly element = this.#figure.element;

  update({ stats, space, chosen }: Picture): void {
    if (!stats) return;
    const all = bins(stats);
    const words = (bin: Bin) => (bin.from === null ? `younger than ${span(bin.to ?? "forever")}` : bin.to === null ? `${span(bin.from)} or older` : `${span(bin.from)} to ${span(bin.to)}`);
    this.#figure.update(
      (width) => (stats.tombstones === 0 ? "There are no tombstones: nothing was deleted, or all of it was purged." : draw(width, width < 640 ? bins(stats, true) : all, space.retention, chosen)),
      table("Tombstones by age", ["Age", "Tombstones"], all.map((bin) => [words(bin), number(bin.tombstones)]), [1]),
    );
  }

  close(): void {
    this.#figure.close();
  }
}

interface Bar {
  from: number;
  to: number;
  tombstones: number;
}

function draw(width: number, all: Bin[], present: string, chosen: string): SVGSVGElement {
  const cut = place(seconds(chosen), all);
  const bars = all.map(({ tombstones }, at): Bar => ({ from: at, to: at + 1, tombstones }));
  // A bar that the window cuts is drawn in two parts.
  const kept = bars.filter(({ from }) => from < cut).map((bar) => ({ ...bar, to: Math.min(bar.to, cut) }));
  const gone = bars.filter(({ to }) => to > cut).map((bar) => ({ ...bar, from: Math.max(bar.from, cut) }));
  const most = Math.max(...bars.map(({ tombstones }) => tombstones));
  const lines = [{ at: cut, label: span(chosen), other: false }];
  if (seconds(chosen) !== seconds(present)) lines.push({ at: place(seconds(present), all), label: `now ${span(present)}`, other: true });
  const every = Math.ceil((all.length * 38) / (width - 60));
  const edges = all.flatMap((_, at) => (at % every === 0 ? [at] : []));
  // What would run out of the drawing stands left of its line.
  const leftwards = (at: number) => at > all.length * 0.65;
  const label = (line: (typeof lines)[number]) =>
    text([line], {
      x: "at",
      frameAnchor: "top",
      dy: line.other ? -14 : -30,
      dx: leftwards(line.at) ? -4 : 4,
      text: "label",
      textAnchor: leftwards(line.at) ? "end" : "start",
      stroke: "var(--raised)",
      fill: line.other ? "var(--soft)" : "var(--ink)",
      fontWeight: line.other ? "normal" : "bold",
    });
  const sum = gone.filter(({ from, to }) => to - from === 1).reduce((sum, { tombstones }) => sum + tombstones, 0);
  const drawn = drawing(
    `Tombstones by age, from new on the left to old on the right. The window is drawn at ${span(chosen)}; ${count(sum, "tombstone")} or somewhat more are older.`,
    {
      width,
      height: 300,
      x: { domain: [0, all.length], label: null },
      y: { domain: [0, most], label: null },
      marks: [
        axisY({ ticks: 4, tickFormat: short, tickSize: 0, label: null }),
        axisX({ ticks: edges, tickFormat: (at: number) => all[at]?.from ?? "0", tickSize: 4, label: null }),
        rectY(kept, { x1: "from", x2: "to", y: "tombstones", fill: "var(--kept)", insetLeft: 1, insetRight: 1 }),
        rectY(gone, { x1: "from", x2: "to", y: "tombstones", fill: "url(#hatch)", stroke: "var(--gone)", insetLeft: 1, insetRight: 1 }),
        text(bars.filter(({ tombstones }) => tombstones > 0 && (width > 340 || tombstones === most)), { x: ({ from }: Bar) => from + 0.5, y: "tombstones", text: ({ tombstones }: Bar) => short(tombstones), dy: -6, stroke: "var(--raised)", fill: "var(--soft)" }),
        ruleY([0], { stroke: "var(--line)" }),
        ...lines.toReversed().map((line) => ruleX([line], { x: "at", stroke: line.other ? "var(--soft)" : "var(--ink)", strokeWidth: line.other ? 1 : 2, strokeDasharray: line.other ? "3,3" : "", insetTop: line.other ? -20 : -36 })),
        ...lines.map(label),
      ],
    },
  );
  drawn.prepend(hatching());
  return drawn;
}

/** Slanted lines, so that what goes is told from what stays without colour. */
function hatching(): SVGElement {
  const make = (name: string, attributes: Record<string, string | number>) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
    return element;
  };
  const pattern = make("pattern", { id: "hatch", width: 6, height: 6, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" });
  pattern.append(make("rect", { width: 6, height: 6, fill: "var(--gone-soft)" }), make("rect", { width: 2, height: 6, fill: "var(--gone)" }));
  const defs = make("defs", {});
  defs.append(pattern);
  return defs;
}
