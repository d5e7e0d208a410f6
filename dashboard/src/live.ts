/** The server's events, and whether they come: the page says so at its top. */

import { h, refill } from "./element.ts";

type Listener = (data: string) => void;

/** Listens until it is closed. The browser connects again by itself; after an answer that was no stream, this does. */
export class Live {
  readonly #url: string;
  readonly #listeners: Record<string, Listener>;
  #source: EventSource | undefined;
  #again: ReturnType<typeof setTimeout> | undefined;

  constructor(space: string | undefined, listeners: Record<string, Listener>) {
    this.#url = `/dashboard/events${space === undefined ? "" : `?space=${encodeURIComponent(space)}`}`;
    this.#listeners = listeners;
    this.#open();
  }

  close(): void {
    clearTimeout(this.#again);
    this.#source?.close();
    this.#source = undefined;
    say("off");
  }

  #open(): void {
    const source = new EventSource(this.#url);
    this.#source = source;
    say("waiting");
    source.addEventListener("open", () => say("live"));
    source.addEventListener("error", () => {
      if (this.#source !== source) return;
      say("waiting");
      if (source.readyState !== EventSource.CLOSED) return;
      this.#again = setTimeout(() => this.#open(), 5_000);
    });
    for (const [name, listener] of Object.entries(this.#listeners)) {
      source.addEventListener(name, (event) => listener(String((event as MessageEvent).data)));
    }
  }
}

const WORDS = { live: "Live", waiting: "Connecting…", off: "" };

function say(what: keyof typeof WORDS): void {
  const place = document.getElementById("live");
  if (!place || place.dataset["state"] === what) return;
  place.dataset["state"] = what;
  refill(place, WORDS[what] && [h("span", { class: "lamp", "aria-hidden": "true" }), WORDS[what]]);
}

/** Runs `work` when it is asked to, never twice at once, and rests after it: the longer it took the longer. */
export function paced(work: () => Promise<void>): () => void {
  let running = false;
  let asked = false;
  return async function ask(): Promise<void> {
    asked = true;
    if (running) return;
    running = true;
    while (asked) {
      asked = false;
      const begun = performance.now();
      await work();
      await new Promise((resolve) => setTimeout(resolve, 300 + 3 * (performance.now() - begun)));
    }
    running = false;
  };
}
