/** The list of spaces: search, sort, and a link to each. */

import * as api from "./api.ts";
import { h, refill, scrolling } from "./element.ts";
import { Live, paced } from "./live.ts";
import type { View } from "./main.ts";
import { ago, clock, count, number, seconds, span } from "./words.ts";

/** Rows that are shown; a search finds the others. */
const SHOWN = 500;

interface Column {
  name: string;
  number: boolean;
  order(a: api.Space, b: api.Space): number;
  cell(space: api.Space): Node | string;
}

const COLUMNS: Column[] = [
  {
    name: "Space",
    number: false,
    order: (a, b) => (a.space < b.space ? -1 : 1),
    cell: ({ space }) => h("a", { href: `/?space=${encodeURIComponent(space)}`, "data-key": `space ${space}` }, space),
  },
  { name: "Records", number: true, order: (a, b) => a.records - b.records, cell: ({ records }) => number(records) },
  { name: "Tombstones", number: true, order: (a, b) => a.tombstones - b.tombstones, cell: ({ tombstones }) => number(tombstones) },
  {
    name: "Head − horizon",
    number: true,
    order: (a, b) => a.head - a.horizon - (b.head - b.horizon),
    cell: ({ head, horizon }) => number(head - horizon),
  },
  {
    name: "Retention",
    number: true,
    order: (a, b) => (a.retention === b.retention ? 0 : seconds(a.retention) - seconds(b.retention)),
    cell: ({ retention }) => span(retention),
  },
  {
    name: "Last change",
    number: true,
    order: (a, b) => Date.parse(a.modified_at) - Date.parse(b.modified_at),
    cell: ({ modified_at }) => h("time", { datetime: modified_at, title: clock(modified_at) }, ago(modified_at)),
  },
];

/** What the reader chose stays while the page does. */
const chosen = { column: 0, down: false, words: "" };

export function listView(main: HTMLElement): View {
  let list: api.Space[] | undefined;
  let more = false;
  let open = true;
  const trouble = h("div", { role: "alert" });
  const heard = h("p", { role: "status", class: "soft" });
  const body = h("tbody");
  const head = h("tr");
  const shown = h("div", { hidden: true }, scrolling("Spaces", h("table", { class: "list" }, h("caption", { class: "unseen" }, "Spaces"), h("thead", {}, head), body)));
  const empty = h("div");
  const note = h(
    "p",
    { class: "soft", hidden: true },
    "Head − horizon: how many of the newest revisions a client may have missed and still catch up by fetching changes alone. Further behind, it must repair its copy.",
  );
  const search = h("input", {
    type: "search",
    id: "search",
    autocomplete: "off",
    spellcheck: "false",
    input: () => {
      chosen.words = search.value;
      render();
    },
  });
  search.value = chosen.words;
  const finder = h("div", { class: "search", hidden: true }, h("label", { for: "search" }, "Search by name"), search, heard);

  function render(): void {
    if (!list) return;
    const words = chosen.words.toLowerCase().split(/\s+/).filter(Boolean);
    const column = COLUMNS[chosen.column]!;
    const found = list.filter(({ space }) => words.every((word) => space.includes(word)));
    found.sort((a, b) => (chosen.down ? -1 : 1) * column.order(a, b) || (a.space < b.space ? -1 : 1));
    for (const part of [finder, shown, note]) part.hidden = list.length === 0;
    refill(head, ...COLUMNS.map(title));
    refill(
      body,
      ...found.slice(0, SHOWN).map((space) =>
        h("tr", {}, ...COLUMNS.map((column, at) => (at === 0 ? h("th", { scope: "row" }, column.cell(space)) : h("td", { class: "number" }, column.cell(space))))),
      ),
    );
    const all = `${count(list.length, "space")}${more ? ", and there are more" : ""}`;
    const cut = found.length > SHOWN ? `; the first ${SHOWN} are shown` : "";
    refill(heard, list.length === 0 ? "" : words.length > 0 || cut ? `${number(found.length)} of ${all}${cut}.` : `${all}.`);
    refill(empty, list.length === 0 && nothing());
  }

  function title(column: Column, at: number): HTMLElement {
    const sorted = chosen.column === at;
    const choose = () => {
      // Names begin with the first, figures with the largest: that is what one looks for.
      chosen.down = sorted ? !chosen.down : column.number;
      chosen.column = at;
      render();
    };
    const arrow = h("span", { "aria-hidden": "true", class: "arrow" }, sorted ? (chosen.down ? "↓" : "↑") : "");
    const button = h("button", { type: "button", class: "sort", "data-key": `sort ${column.name}`, click: choose }, ...(column.number ? [arrow, column.name] : [column.name, arrow]));
    return h("th", { scope: "col", class: column.number ? "number" : undefined, "aria-sort": sorted ? (chosen.down ? "descending" : "ascending") : undefined }, button);
  }

  const load = paced(async () => {
    try {
      ({ list, more } = await api.spaces());
      if (!open) return;
      refill(trouble);
      render();
    } catch (error) {
      if (!open) return;
      const words = error instanceof Error ? error.message : String(error);
      refill(trouble, h("div", { class: "trouble" }, h("p", {}, h("strong", {}, "The spaces could not be loaded. "), words), h("button", { type: "button", "data-key": "again", click: () => load() }, "Try again")));
    }
  });

  refill(
    main,
    h("h1", {}, "Spaces"),
    h(
      "p",
      { class: "lead" },
      "A space is a set of records that clients keep an offline copy of. When a record is deleted, a ",
      h("dfn", {}, "tombstone"),
      " stays behind, so that clients that were away hear of it. Choose a space to see what its tombstones cost, who still needs them, and how long to keep them.",
    ),
    finder,
    trouble,
    empty,
    shown,
    note,
  );
  load();
  const live = new Live(undefined, { spaces: () => load() });
  // What is known only by the clock grows old by itself.
  const ticking = setInterval(render, 30_000);
  return {
    close() {
      open = false;
      clearInterval(ticking);
      live.close();
    },
  };
}

function nothing(): HTMLElement {
  const call = `curl -X PUT ${location.origin}/v1/spaces/demo/records/todos/1 \\\n  -H 'Content-Type: application/json' -d '{"title":"milk"}'`;
  return h("div", { class: "nothing" }, h("p", {}, "There are no spaces yet. The first push or record makes one:"), h("pre", { tabindex: 0 }, h("code", {}, call)));
}
