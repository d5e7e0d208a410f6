/** One space: what its tombstones cost, who depends on them, and the slider. */

import * as api from "./api.ts";
import { type Child, h, refill } from "./element.ts";
import { Live, paced } from "./live.ts";
import type { View } from "./main.ts";
import { stops } from "./model.ts";
import { Ages } from "./space/ages.ts";
import { askToApply, askToForget } from "./space/confirm.ts";
import { History } from "./space/history.ts";
import { Knob } from "./space/knob.ts";
import { Lags } from "./space/lags.ts";
import type { Picture } from "./space/picture.ts";
import { Rules, saved } from "./space/rules.ts";
import { Who } from "./space/who.ts";
import { ago, bytes, count, number, seconds, span } from "./words.ts";

/** Tombstones grow older, and clients are seen, also when nothing is written. */
const REFRESH = 30_000;

const words = (error: unknown): string => (error instanceof Error ? error.message : String(error));

export function spaceView(main: HTMLElement, name: string): View {
  const view = new SpaceView(main, name);
  view.begin();
  return view;
}

class SpaceView implements View {
  readonly #main: HTMLElement;
  readonly #name: string;
  readonly #trouble = h("div", { role: "alert" });
  readonly #headline = h("div");
  readonly #ages = new Ages();
  readonly #history = new History();
  readonly #lags = new Lags();
  readonly #knob = new Knob(
    (window) => this.#choose(window),
    () => void this.#apply(),
    [this.#lags.element, this.#ages.element],
  );
  readonly #who = new Who((client) => void this.#forget(client));
  readonly #rules = new Rules(
    (change) => this.#save(change),
    (client) => void this.#forget(client),
  );
  readonly #parts = [this.#knob, this.#ages, this.#lags, this.#history, this.#who, this.#rules];
  readonly #refresh = paced(() => this.#load());
  #picture: Picture | undefined;
  #live: Live | undefined;
  #ticking: ReturnType<typeof setInterval> | undefined;
  #open = true;
  #told = "";

  constructor(main: HTMLElement, name: string) {
    this.#main = main;
    this.#name = name;
  }

  begin(): void {
    refill(
      this.#main,
      h("nav", { "aria-label": "Where this is" }, h("a", { href: "/" }, "← All spaces")),
      h("h1", {}, this.#name),
      this.#trouble,
      this.#headline,
    );
    this.#refresh();
    this.#live = new Live(this.#name, {
      space: (data) => this.#arrived(JSON.parse(data) as api.Space),
      gone: () => {
        this.#live?.close();
        this.#end("This space was deleted, with all that it held.");
      },
    });
    this.#ticking = setInterval(() => this.#refresh(), REFRESH);
  }

  close(): void {
    this.#open = false;
    this.#live?.close();
    clearInterval(this.#ticking);
    for (const part of [this.#ages, this.#lags, this.#history]) part.close();
  }

  /** There is nothing more to show. */
  #end(sentence: string): void {
    this.close();
    refill(this.#main, h("nav", { "aria-label": "Where this is" }, h("a", { href: "/" }, "← All spaces")), h("h1", {}, this.#name), h("div", { role: "alert" }, h("div", { class: "trouble" }, h("p", {}, sentence))));
  }

  #arrived(space: api.Space): void {
    if (!this.#picture || !this.#open) return;
    this.#follow(space);
    this.#show();
    this.#refresh();
  }

  /** Takes the space as it is now; a slider that was not moved goes with its retention. */
  #follow(space: api.Space): void {
    const before = this.#picture;
    const moved = before && seconds(before.chosen) !== seconds(before.space.retention);
    const chosen = moved ? before.chosen : space.retention;
    // A window that is written another way is still the slider's.
    const stop = stops(space.retention).find((stop) => seconds(stop) === seconds(chosen));
    this.#picture = { ...before, name: this.#name, space, chosen: stop ?? space.retention };
  }

  async #load(): Promise<void> {
    if (!this.#open) return;
    const failed: string[] = [];
    const part = async <T>(what: string, asked: Promise<T>): Promise<T | undefined> => {
      try {
        return await asked;
      } catch (error) {
        failed.push(`${what} could not be loaded. ${words(error)}`);
        return undefined;
      }
    };
    let space: api.Space;
    try {
      space = await api.space(this.#name);
    } catch (error) {
      if (!this.#open) return;
      if (error instanceof api.Failure && error.status === 404) this.#end(words(error));
      else this.#complain([`The space could not be loaded. ${words(error)}`]);
      return;
    }
    const [stats, policy, state, clients, plan] = await Promise.all([
      part("The figures", api.stats(this.#name)),
      part("The rules", api.policy(this.#name)),
      part("What holds the horizon", api.state(this.#name)),
      part("The clients", api.clients(this.#name)),
      part("What each window would do", api.plan(this.#name, stops(space.retention))),
    ]);
    if (!this.#open) return;
    this.#follow(space);
    // What could not be loaded stays as it was.
    const arrived = Object.entries({ stats, policy, state, clients, plan }).filter(([, value]) => value !== undefined);
    this.#picture = { ...this.#picture!, ...Object.fromEntries(arrived) };
    this.#complain(failed);
    this.#show();
  }

  #complain(sentences: string[]): void {
    // Said again unchanged, it would be read out again.
    if (this.#told === sentences.join("\n")) return;
    this.#told = sentences.join("\n");
    const again = h("button", { type: "button", "data-key": "again", click: () => this.#refresh() }, "Try again");
    refill(this.#trouble, sentences.length > 0 && h("div", { class: "trouble" }, ...sentences.map((sentence) => h("p", {}, sentence)), again));
  }

  #show(): void {
    const picture = this.#picture!;
    refill(this.#headline, headline(picture));
    if (!this.#knob.element.isConnected) {
      this.#main.append(this.#knob.element, this.#history.element, this.#rules.element, this.#who.element);
    }
    for (const part of this.#parts) part.update(picture);
  }

  #choose(window: string): void {
    if (!this.#picture) return;
    this.#picture = { ...this.#picture, chosen: window };
    this.#knob.say("");
    for (const part of [this.#knob, this.#ages, this.#lags, this.#who]) part.update(this.#picture);
  }

  async #apply(): Promise<void> {
    const picture = this.#picture!;
    const answer = await askToApply(picture);
    if (!answer) return;
    try {
      this.#knob.say("Applying…");
      await api.configure(this.#name, { retention: picture.chosen });
      let done = `Deletions are now remembered for ${span(picture.chosen)}.`;
      this.#follow({ ...this.#picture!.space, retention: picture.chosen });
      // What was asked for is in force, and its button out of it.
      this.#knob.focus();
      if (answer.ticked) {
        this.#knob.say(`${done} Purging…`);
        const { purged, bytes: freed, horizon_before, horizon } = await api.compact(this.#name);
        const rise = horizon > horizon_before ? `The horizon rose from ${number(horizon_before)} to ${number(horizon)}.` : "The horizon stayed.";
        done += ` ${count(purged, "tombstone")} purged, ${bytes(freed)} freed. ${rise}`;
      }
      this.#knob.say(done);
    } catch (error) {
      this.#knob.say(`It could not be applied. ${words(error)}`);
    }
    this.#refresh();
  }

  async #save(change: Partial<api.Policy>): Promise<string> {
    try {
      return saved(await api.configure(this.#name, change));
    } catch (error) {
      return `The rules could not be saved. ${words(error)}`;
    } finally {
      this.#refresh();
    }
  }

  async #forget(client: string): Promise<void> {
    if (!(await askToForget(client))) return;
    try {
      await api.forget(this.#name, client);
      this.#knob.say(`${client} is forgotten.`);
    } catch (error) {
      this.#knob.say(`${client} could not be forgotten. ${words(error)}`);
    }
    this.#refresh();
  }
}

function headline({ space, stats }: Picture): Child {
  const figure = (name: string, value: string, means: string) => h("div", {}, h("dt", {}, name), h("dd", { class: "value" }, value), h("dd", { class: "soft" }, means));
  return h(
    "dl",
    { class: "figures headline" },
    figure("Records", number(space.records), stats ? `live, ${bytes(stats.record_bytes)}` : "live"),
    figure("Tombstones", number(space.tombstones), stats ? `remembered, ${bytes(stats.tombstone_bytes)}` : "remembered"),
    figure("Head", number(space.head), `newest revision, ${ago(space.modified_at)}`),
    figure("Horizon", number(space.horizon), "newest tombstone purged; who is below it is behind"),
    figure("Retention", span(space.retention), "tombstones older than this are purged"),
  );
}
