/** Which rule keeps the oldest tombstone, who pins it, and the rules themselves, to be edited. */

import { type Policy, sentence, type State } from "../api.ts";
import { h, refill, scrolling, table } from "../element.ts";
import { ago, clock, count, number, span } from "../words.ts";
import type { Picture } from "./picture.ts";

const RULES: Record<State["rule"], string> = {
  retention: "The window",
  hold_for_clients: "A hold for clients",
  max_retention: "The cap of the hold",
  max_tombstones: "The bound on tombstones",
  forever: "The window, which is forever",
  none: "Nothing: there are no tombstones",
};

export class Rules {
  readonly element: HTMLElement;
  readonly #holds = h("div");
  readonly #form: HTMLFormElement;
  readonly #hold = h("input", { type: "checkbox", id: "hold", "aria-describedby": "hold-means" });
  readonly #cap = h("input", { id: "cap", required: true, pattern: "([0-9]+[smhdw]|forever)", autocomplete: "off", spellcheck: "false", "aria-describedby": "cap-means" });
  readonly #most = h("input", { id: "most", type: "number", min: 0, step: 1, "aria-describedby": "most-means" });
  readonly #save = h("button", { type: "submit", disabled: true }, "Save these rules");
  readonly #said = h("p", { role: "status", class: "said" });
  #forget: (client: string) => void;
  /** The last look at what is due to be purged, when it was, and how the purge goes on, as two looks tell it. */
  #looked: { state: State; at: number; going: string } | undefined;

  /** `save` is given what was changed, and says what became of it. */
  constructor(save: (change: Partial<Policy>) => Promise<string>, forget: (client: string) => void) {
    this.#forget = forget;
    const field = (id: string, name: string, input: HTMLInputElement, means: string) =>
      h("div", { class: input.type === "checkbox" ? "field tick" : "field" }, h("label", { for: input.id }, name), input, h("p", { class: "soft", id: `${id}-means` }, means));
    this.#form = h(
      "form",
      {
        input: () => (this.#save.disabled = false),
        submit: async (event) => {
          event.preventDefault();
          this.#save.disabled = true;
          refill(this.#said, "Saving…");
          const most = this.#most.value === "" ? null : this.#most.valueAsNumber;
          refill(this.#said, await save({ hold_for_clients: this.#hold.checked, max_retention: this.#cap.value.trim(), max_tombstones: most }));
        },
      },
      field("hold", "Hold for clients", this.#hold, "Keep a tombstone beyond the window while a known client still has to hear of it."),
      field("cap", "Longest hold", this.#cap, "An age at which a hold ends: a whole number and s, m, h, d or w, such as 180d."),
      field("most", "Most tombstones", this.#most, "Above this number the oldest are purged, however young, held or not. Empty for no bound."),
      h("div", { class: "actions" }, this.#save),
      this.#said,
    );
    this.element = h(
      "section",
      { class: "rules", "aria-labelledby": "rules" },
      h("div", {}, h("h2", { id: "rules" }, "What holds the horizon"), this.#holds),
      h("div", {}, h("h2", {}, "Other rules"), this.#form),
    );
  }

  update({ state, policy }: Picture): void {
    if (state) {
      if (state !== this.#looked?.state) this.#look(state);
      refill(this.#holds, ...this.#told(state));
    }
    // What is being edited is the reader's.
    if (policy && this.#save.disabled) {
      this.#hold.checked = policy.hold_for_clients;
      this.#cap.value = policy.max_retention;
      this.#most.value = policy.max_tombstones == null ? "" : String(policy.max_tombstones);
    }
  }

  #look(state: State): void {
    const at = performance.now();
    const before = this.#looked;
    const gone = before ? before.state.purgeable - state.purgeable : 0;
    let going = "";
    if (before && gone > 0 && state.horizon > before.state.horizon) {
      const rate = Math.max(1, Math.round((gone * 1000) / (at - before.at)));
      const left = Math.ceil(state.purgeable / rate);
      going = state.purgeable === 0 ? "The purge is done." : `Being purged now: ${number(state.purgeable)} left, about ${number(rate)} a second, ${left < 90 ? count(left, "second") : count(Math.round(left / 60), "minute")} to go.`;
    }
    this.#looked = { state, at, going };
  }

  #told({ rule, detail, purgeable, oldest_tombstone: oldest, pinned_by: pins }: State): (HTMLElement | null)[] {
    const button = (client: string) => h("button", { type: "button", class: "small", "data-key": `forget ${client}`, "aria-label": `Forget ${client}`, click: () => this.#forget(client) }, "Forget");
    return [
      h("p", { class: "rule" }, h("strong", {}, RULES[rule] ?? rule), "."),
      h("p", {}, sentence(detail)),
      oldest === null ? null : h("p", {}, "The oldest tombstone is from ", h("time", { datetime: oldest }, clock(oldest)), ` (${ago(oldest)}). ${this.#looked?.going || (purgeable === 0 ? "None is due to be purged." : `${count(purgeable, "is", "are")} due to be purged at the compactor's next run.`)}`),
      pins.length === 0
        ? null
        : scrolling(
            "Clients that pin the horizon",
            table(
              "Who still has to hear of the oldest tombstones",
              ["Client", "Is at revision", "Last seen", ""],
              pins.map((pin) => [pin.client, number(pin.rev), ago(pin.last_seen), button(pin.client)]),
              [1],
            ),
          ),
    ];
  }
}

/** What was saved, in words. */
export const saved = ({ hold_for_clients: hold, max_retention: cap, max_tombstones: most }: Policy): string =>
  `Saved: ${hold ? `tombstones are held for clients for up to ${span(cap)}` : "tombstones are not held for clients"}${most == null ? "" : `, at most ${count(most, "tombstone")} are kept`}.`;
