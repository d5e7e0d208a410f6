/** How far behind the clients are, on one axis with the horizon; and below, on the same axis, those without a name. */

import { axisX, axisY, dot, rect, rectY, ruleX, ruleY, scale, text } from "@observablehq/plot";
import type { Client, Stats } from "../api.ts";
import { h, table } from "../element.ts";
import type { Standing } from "../model.ts";
import { ago, count, number, short, span } from "../words.ts";
import { drawing, Figure } from "./figure.ts";
import { forecast, type Picture, standing } from "./picture.ts";

export const WORDS: Record<Standing, string> = {
  served: "catches up with changes",
  falls: "would fall behind",
  behind: "is behind already, must repair",
};

export const MARKS: Record<Standing, string> = { served: "●", falls: "✕", behind: "■" };

const MARGINS = { marginLeft: 44, marginRight: 28 };
/** Between dots, in pixels. */
const STEP = 13;

interface Dot extends Client {
  standing: Standing;
  y: number;
}

export class Lags {
  readonly #figure = new Figure("Clients by lag", [
    "Each mark is a client: up to date on the left, further behind to the right. ",
    "Past the horizon it is behind: deletions that it missed are forgotten, and it must repair its copy.",
  ], "h3");
  readonly element = this.#figure.element;

  update(picture: Picture): void {
    const { clients, stats, space } = picture;
    if (!clients || !stats) return;
    const standings = standing(picture);
    const known = clients.list.map((client) => ({ ...client, standing: standings.get(client.client) ?? "served", y: 0 }));
    known.sort((a, b) => a.behind - b.behind);
    // The same for every window, so that the axis stands still while the slider moves.
    const most = Math.max(1, space.head - space.horizon, ...known.map(({ behind }) => behind), ...stats.anonymous.map(({ behind_from, behind_to }) => Math.max(behind_from + 1, Math.min(behind_to + 1, space.head)))) * 1.25;
    const then = forecast(picture)?.horizon ?? space.horizon;
    this.#figure.update(
      (width) => [
        clients.list.length === 0
          ? h("p", { class: "nothing" }, "No client has given a name yet. A client does so with the header ", h("code", {}, "Strandline-Client"), "; only then can be told who would fall behind.")
          : named(width, known, most, { head: space.head, now: space.horizon, then, window: span(picture.chosen) }),
        stats.anonymous.length > 0 && anonymous(width, stats, most),
        h("p", { class: "axis soft" }, "revisions behind →"),
      ],
      clients.more && h("p", {}, `These are the first ${number(clients.list.length)} by name; there are more.`),
      table(
        "Clients, the furthest behind first",
        ["Client", "Revisions behind", "At this window", "Last seen"],
        known.toReversed().map((client) => [client.client, number(client.behind), WORDS[client.standing], ago(client.last_seen)]),
        [1],
      ),
      stats.anonymous.length > 0 &&
        table(
          "Pulls without a name, by lag",
          ["Revisions behind", "Pulls", "Last seen"],
          stats.anonymous.map(({ behind_from, behind_to, pulls, last_seen }) => [range(behind_from, behind_to), number(pulls), ago(last_seen)]),
          [0, 1],
        ),
    );
  }

  close(): void {
    this.#figure.close();
  }
}

const range = (from: number, to: number) => (from === to ? number(from) : `${number(from)} to ${number(to)}`);

interface Horizons {
  head: number;
  now: number;
  then: number;
  window: string;
}

const lag = (most: number) => ({ type: "symlog" as const, domain: [0, most], label: null });
const ticks = (most: number, width: number) => {
  const all = [0, 1, ...Array.from({ length: 15 }, (_, power) => 10 ** (power + 1))].filter((tick) => tick <= most);
  const every = Math.ceil((all.length * 44) / (width - 70));
  return all.filter((_, at) => at % every === 0);
};

function named(width: number, clients: Dot[], most: number, { head, now, then, window }: Horizons): HTMLElement {
  const x = scale({ x: { ...lag(most), range: [MARGINS.marginLeft, width - MARGINS.marginRight] } });
  // Clients of about the same lag stand on each other, closer where there are many.
  const stacks = new Map<number, number>();
  for (const client of clients) {
    const column = Math.round(x.apply(client.behind) / STEP);
    client.y = stacks.get(column) ?? 0;
    stacks.set(column, client.y + 1);
  }
  const highest = Math.max(0, ...stacks.values());
  const rows = Math.max(4, highest);
  const height = 88 + STEP * Math.min(rows, 14);
  const radius = rows > 14 ? 3.5 : 5.5;
  const lines = [{ at: head - then, label: then === now ? "horizon" : `horizon at ${window}`, other: false }];
  if (then !== now) lines.push({ at: head - now, label: "horizon now", other: true });
  const tally = (standing: Standing) => clients.filter((client) => client.standing === standing).length;
  const drawn = drawing("", {
    width,
    height,
    ...MARGINS,
    x: lag(most),
    y: { domain: [-0.5, rows], axis: null },
    symbol: { domain: ["served", "falls", "behind"], range: ["circle", "times", "square"] },
    marks: [
      rect([{ x1: head - then, x2: most }], { x1: "x1", x2: "x2", fill: "var(--gone-soft)", fillOpacity: 0.55 }),
      axisX({ ticks: ticks(most, width), tickFormat: short, tickSize: 4, label: null }),
      ruleY([-0.5], { stroke: "var(--line)" }),
      ...lines.map((line) => ruleX([line], { x: "at", stroke: line.other ? "var(--soft)" : "var(--ink)", strokeWidth: line.other ? 1 : 2, strokeDasharray: line.other ? "3,3" : "", insetTop: line.other ? -20 : -36 })),
      ...lines.map((line) =>
        text([line], {
          x: "at",
          frameAnchor: "top",
          dy: line.other ? -14 : -30,
          dx: x.apply(line.at) < width / 2 ? 4 : -4,
          text: "label",
          textAnchor: x.apply(line.at) < width / 2 ? "start" : "end",
          stroke: "var(--raised)",
          fill: line.other ? "var(--soft)" : "var(--ink)",
          fontWeight: line.other ? "normal" : "bold",
        }),
      ),
      dot(clients.filter(({ standing }) => standing === "served"), { x: "behind", y: "y", r: radius, fill: "var(--kept)", className: "client" }),
      dot(clients.filter(({ standing }) => standing === "behind"), { x: "behind", y: "y", r: radius, symbol: "square", fill: "var(--soft)", className: "client" }),
      dot(clients.filter(({ standing }) => standing === "falls"), { x: "behind", y: "y", r: radius + 1, symbol: "times", stroke: "var(--gone)", strokeWidth: radius / 2, className: "client" }),
    ],
  });
  // A picture that can be walked through: one stop of the tab key, then the arrows.
  drawn.setAttribute("role", "group");
  drawn.setAttribute(
    "aria-label",
    `${count(clients.length, "client")} by lag: ${tally("served")} catch up with changes, ${tally("falls")} would fall behind at ${window}, ${tally("behind")} are behind already. The arrow keys go from client to client.`,
  );
  for (const other of drawn.querySelectorAll("g:not(.client)")) other.setAttribute("aria-hidden", "true");
  const key = (["served", "falls", "behind"] as const).filter((standing) => tally(standing) > 0);
  const legend = h("p", { class: "key soft", "aria-hidden": "true" }, ...key.map((standing) => h("span", { class: `standing ${standing}` }, h("span", { class: "mark" }, MARKS[standing]), ` ${WORDS[standing]}`)));
  const box = walkable(drawn, [...clients.filter(({ standing }) => standing === "served"), ...clients.filter(({ standing }) => standing === "behind"), ...clients.filter(({ standing }) => standing === "falls")]);
  return h("div", {}, box, legend);
}

/** Gives the marks, which are in the order of `clients`, names, a place in the order of focus, and a note. */
function walkable(drawn: SVGSVGElement, clients: Dot[]): HTMLElement {
  const note = h("p", { class: "note", hidden: true, "aria-hidden": "true" });
  const box = h("div", { class: "walk" }, drawn, note);
  const found = [...drawn.querySelectorAll<SVGElement>("g.client > *")].map((mark, at) => ({ mark, client: clients[at]! }));
  found.sort((a, b) => a.client.behind - b.client.behind);
  const hide = () => (note.hidden = true);
  found.forEach(({ mark, client }, at) => {
    mark.setAttribute("role", "img");
    mark.setAttribute("data-key", `client ${client.client}`);
    mark.setAttribute("aria-label", `${client.client}: ${count(client.behind, "revision")} behind, seen ${ago(client.last_seen)}, ${WORDS[client.standing]}`);
    mark.setAttribute("tabindex", at === 0 ? "0" : "-1");
    const show = () => {
      refillNote(note, client);
      note.hidden = false;
      const [place, own] = [box.getBoundingClientRect(), mark.getBoundingClientRect()];
      note.style.left = `${Math.max(0, Math.min(own.left - place.left, place.width - note.offsetWidth))}px`;
      note.style.top = `${Math.max(0, own.top - place.top - note.offsetHeight - 6)}px`;
    };
    mark.addEventListener("pointerenter", show);
    mark.addEventListener("pointerleave", hide);
    mark.addEventListener("blur", hide);
    mark.addEventListener("focus", () => {
      for (const other of found) other.mark.setAttribute("tabindex", other.mark === mark ? "0" : "-1");
      show();
    });
    mark.addEventListener("keydown", (event) => {
      const { key } = event as KeyboardEvent;
      const to = { ArrowRight: at + 1, ArrowUp: at + 1, ArrowLeft: at - 1, ArrowDown: at - 1, Home: 0, End: found.length - 1 }[key];
      if (to !== undefined) {
        event.preventDefault();
        found[Math.max(0, Math.min(found.length - 1, to))]!.mark.focus();
      } else if (key === "Escape") hide();
    });
  });
  return box;
}

function refillNote(note: HTMLElement, client: Dot): void {
  const asks = client.collections ? [h("br"), `asks for ${client.collections.join(", ")}`] : [];
  note.replaceChildren(h("strong", {}, client.client), h("br"), `${count(client.behind, "revision")} behind, seen ${ago(client.last_seen)}`, h("br"), WORDS[client.standing], ...asks);
}

function anonymous(width: number, stats: Stats, most: number): HTMLElement {
  const bars = stats.anonymous.map(({ behind_from: from, behind_to: to, pulls }) => ({ from, to: Math.min(to + 1, most), pulls }));
  const highest = Math.max(...bars.map(({ pulls }) => pulls));
  const total = bars.reduce((sum, { pulls }) => sum + pulls, 0);
  return h(
    "div",
    {},
    h("h3", {}, "Pulls without a name"),
    drawing(`${count(total, "pull")} by clients that do not name themselves, by lag.`, {
      width,
      height: 110,
      ...MARGINS,
      marginTop: 18,
      x: lag(most),
      y: { domain: [0, highest], label: null },
      marks: [
        axisY({ ticks: 2, tickFormat: short, tickSize: 0, label: null }),
        axisX({ ticks: ticks(most, width), tickFormat: short, tickSize: 4, label: null }),
        rectY(bars, { x1: "from", x2: "to", y: "pulls", fill: "var(--soft)", fillOpacity: 0.5, insetLeft: 1, insetRight: 1 }),
        ruleY([0], { stroke: "var(--line)" }),
      ],
    }),
  );
}
