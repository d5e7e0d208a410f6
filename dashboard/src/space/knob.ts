/** The slider: what each window would do, seen before it is done. */

import type { Forecast } from "../api.ts";
import { type Child, h, refill } from "../element.ts";
import { stops } from "../model.ts";
import { bytes, count, number, seconds, span } from "../words.ts";
import { forecast, type Picture, standing } from "./picture.ts";

/** Names that are shown at once. */
const SHOWN = 12;

export class Knob {
  readonly element: HTMLElement;
  readonly #slider = h("input", { type: "range", id: "window", min: 0, step: 1, "aria-describedby": "window-means" });
  readonly #window = h("output", { for: "window", class: "window" });
  readonly #scale = h("div", { class: "scale", "aria-hidden": "true" });
  readonly #outcome = h("div", { class: "outcome" });
  readonly #actions = h("div", { class: "actions" });
  readonly #said = h("p", { role: "status", class: "said" });
  #stops: string[] = [];

  /** `choose` hears of a move, `apply` of the button. What the window does to them stands beside the figures: `charts`. */
  constructor(choose: (window: string) => void, apply: () => void, charts: HTMLElement[]) {
    this.#slider.addEventListener("input", () => choose(this.#stops[this.#slider.valueAsNumber] ?? "forever"));
    this.element = h(
      "section",
      { class: "knob", "aria-labelledby": "knob" },
      h("h2", { id: "knob" }, "How long are deletions remembered?"),
      h(
        "p",
        { id: "window-means" },
        "A short window frees space; a client that is away for longer than the window falls behind and must repair its copy. Move the slider to see what a purge now would do. Nothing changes until you apply it.",
      ),
      h(
        "div",
        { class: "dial" },
        h("p", { class: "choice" }, h("label", { for: "window" }, "Remember deletions for"), " ", this.#window),
        this.#slider,
        this.#scale,
        this.#actions,
      ),
      this.#said,
      h("div", { class: "effects" }, this.#outcome, ...charts),
    );
    this.#actions.addEventListener("click", (event) => {
      const button = event.target instanceof Element ? event.target.closest("button") : null;
      if (button?.dataset["key"] === "apply") apply();
      if (button?.dataset["key"] === "back") {
        choose(button.value);
        this.#slider.focus();
      }
    });
  }

  /** What became of it, for all to hear. */
  say(words: string): void {
    refill(this.#said, words);
  }

  focus(): void {
    this.#slider.focus({ preventScroll: true });
  }

  update(picture: Picture): void {
    const { chosen, space, plan } = picture;
    this.#stops = stops(space.retention);
    const at = Math.max(0, this.#stops.findIndex((stop) => seconds(stop) === seconds(chosen)));
    this.#slider.max = String(this.#stops.length - 1);
    this.#slider.valueAsNumber = at;
    refill(this.#window, span(chosen));
    refill(this.#scale, ...this.#stops.map((stop, at) => h("span", { class: seconds(stop) === seconds(space.retention) ? "present" : undefined, "data-at": at }, stop)));
    this.#scale.querySelectorAll("span").forEach((mark, at) => (mark.style.left = `${(100 * at) / (this.#stops.length - 1)}%`));
    const told = forecast(picture);
    this.#slider.setAttribute("aria-valuetext", told ? `${span(chosen)}: ${inShort(told)}` : span(chosen));
    refill(this.#outcome, told ? outcome(picture, told) : h("p", { class: "soft" }, plan ? "This window was not forecast." : "What each window would do is not known yet."));
    const same = seconds(chosen) === seconds(space.retention);
    refill(
      this.#actions,
      h("button", { type: "button", "data-key": "back", class: same ? "absent" : undefined, value: space.retention, disabled: same }, `Back to ${span(space.retention)}`),
      h("button", { type: "button", class: "primary", "data-key": "apply", disabled: same || !told }, same ? `${span(chosen)} is in force` : `Apply ${span(chosen)}…`),
    );
  }
}

function inShort(told: Forecast): string {
  return `${count(told.tombstones, "tombstone")} purged, ${bytes(told.bytes)} freed, ${count(told.clients_behind, "client")} behind`;
}

function outcome(picture: Picture, told: Forecast): Child[] {
  const { space, clients } = picture;
  const standings = [...standing(picture)];
  const falls = standings.filter(([, standing]) => standing === "falls").map(([name]) => name);
  const already = standings.filter(([, standing]) => standing === "behind").length;
  // The server knows more clients than the page has fetched.
  const falling = clients?.more ? Math.max(0, told.clients_behind - already) : falls.length;
  const rises = told.horizon > space.horizon;
  const figure = (name: string, value: Child, means: Child, mark?: string) => h("div", { class: mark }, h("dt", {}, name), h("dd", { class: "value" }, value), h("dd", { class: "soft" }, means));
  return [
    h(
      "dl",
      { class: "figures" },
      figure("Tombstones purged", number(told.tombstones), `of ${number(space.tombstones)}`),
      figure("Space freed", bytes(told.bytes), "ids of the tombstones"),
      figure("Horizon afterwards", number(told.horizon), rises ? `rises from ${number(space.horizon)}` : "stays where it is"),
      figure(
        "Would fall behind",
        falling > 0 ? [h("span", { class: "cross", "aria-hidden": "true" }, "✕ "), number(falling)] : "0",
        already > 0 ? `of ${count(clients?.list.length ?? 0, "known client")}; ${number(already)} more ${already === 1 ? "is" : "are"} behind already` : `of ${count(clients?.list.length ?? 0, "known client")}`,
        falling > 0 ? "alarm" : undefined,
      ),
    ),
    falls.length > 0 && names(falls),
    told.clients_behind > 0 &&
      h(
        "p",
        {},
        `${told.clients_behind === 1 ? "The one client that is then behind" : `The ${number(told.clients_behind)} clients that are then behind`} would transfer about `,
        h("strong", {}, bytes(told.resync_bytes)),
        " to repair. To download everything anew would be ",
        h("strong", {}, bytes(told.download_bytes)),
        ".",
      ),
  ];
}

function names(falls: string[]): HTMLElement {
  const item = (name: string) => h("li", {}, h("span", { class: "cross", "aria-hidden": "true" }, "✕ "), name);
  const rest = falls.length - SHOWN;
  return h(
    "div",
    {},
    h("h3", {}, "Who would fall behind"),
    h("ul", { class: "names" }, ...falls.slice(0, SHOWN).map(item), rest > 0 && h("li", { class: "soft" }, `and ${number(rest)} more, in the table below`)),
  );
}
