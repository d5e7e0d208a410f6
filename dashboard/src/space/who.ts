/** The clients that the server knows, and how to forget one. */

import { h, refill, scrolling, table } from "../element.ts";
import { ago, clock, count, number } from "../words.ts";
import { MARKS, WORDS } from "./lags.ts";
import { type Picture, standing } from "./picture.ts";

/** Rows that are shown before one asks for all. */
const SHOWN = 20;

export class Who {
  readonly element: HTMLElement;
  readonly #body = h("div");
  #all = false;
  #picture: Picture | undefined;
  readonly #forget: (client: string) => void;

  constructor(forget: (client: string) => void) {
    this.#forget = forget;
    this.element = h(
      "section",
      { "aria-labelledby": "who" },
      h("h2", { id: "who" }, "Clients"),
      h("p", { class: "soft" }, "Those that name themselves, the furthest behind first. One that will not come back can be forgotten, so that nothing is held for it; should it come back, it is told to repair if it is behind by then."),
      this.#body,
    );
  }

  update(picture: Picture): void {
    this.#picture = picture;
    if (!picture.clients) return;
    const standings = standing(picture);
    const list = picture.clients.list.toSorted((a, b) => b.behind - a.behind || (a.client < b.client ? -1 : 1));
    const shown = this.#all ? list : list.slice(0, SHOWN);
    const state = (client: string) => {
      const standing = standings.get(client) ?? "served";
      return h("span", { class: `standing ${standing}` }, h("span", { class: "mark", "aria-hidden": "true" }, MARKS[standing]), ` ${WORDS[standing]}`);
    };
    const rows = shown.map((client) => [
      h("span", { title: client.agent ?? undefined }, client.client),
      state(client.client),
      number(client.behind),
      client.collections?.join(", ") ?? "everything",
      h("time", { datetime: client.last_seen, title: clock(client.last_seen) }, ago(client.last_seen)),
      h("button", { type: "button", class: "small", "data-key": `forget ${client.client}`, "aria-label": `Forget ${client.client}`, click: () => this.#forget(client.client) }, "Forget"),
    ]);
    const more = () => {
      this.#all = true;
      if (this.#picture) this.update(this.#picture);
    };
    refill(
      this.#body,
      list.length === 0
        ? h("p", { class: "nothing" }, "No client has given a name yet.")
        : scrolling("Clients", table("Clients, the furthest behind first", ["Client", "At this window", "Revisions behind", "Asks for", "Last seen", "Forget"], rows, [2])),
      shown.length < list.length && h("p", {}, h("button", { type: "button", "data-key": "all", click: more }, `Show all ${count(list.length, "client")}`)),
    );
  }
}
