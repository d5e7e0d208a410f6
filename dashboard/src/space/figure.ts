/**
 * A chart with its title, a sentence on how to read it, and its numbers as a table.
 *
 * Observable Plot draws it. Plot puts a `<style>` element into each drawing, which the page's content policy forbids: it
 * is taken out before the drawing is in the document, and `style.css` has its rules. Colours are the style sheet's
 * variables, so that light and dark need no second drawing.
 */

import { plot, type PlotOptions } from "@observablehq/plot";
import { type Child, h, refill, scrolling } from "../element.ts";

/** A drawing; `words` say what is to be seen in it. */
export function drawing(words: string, options: PlotOptions): SVGSVGElement {
  const drawn = plot({ className: "plot", marginTop: 40, marginRight: 16, marginBottom: 34, marginLeft: 44, ...options }) as SVGSVGElement;
  for (const style of drawn.querySelectorAll("style")) style.remove();
  // Plot names its groups for itself; to a screen reader the drawing is one picture.
  for (const group of drawn.querySelectorAll("[aria-label], [aria-description]")) {
    if (group.hasAttribute("data-key")) continue;
    group.removeAttribute("aria-label");
    group.removeAttribute("aria-description");
  }
  drawn.setAttribute("role", "img");
  drawn.setAttribute("aria-label", words);
  return drawn;
}

export class Figure {
  readonly element: HTMLElement;
  readonly #place: HTMLElement;
  readonly #numbers: HTMLElement;
  readonly #observer: ResizeObserver;
  #draw: ((width: number) => Child) | undefined;
  #width = 0;

  constructor(title: string, reading: Child[], level: "h2" | "h3") {
    this.#place = h("div", { class: "drawing" });
    this.#numbers = scrolling(`${title}, as a table`);
    const table = h("details", {}, h("summary", {}, "These numbers as a table"), this.#numbers);
    this.element = h("figure", {}, h("figcaption", {}, h(level, {}, title), h("p", { class: "soft" }, ...reading)), this.#place, table);
    this.#observer = new ResizeObserver(() => {
      const width = Math.floor(this.#place.clientWidth);
      if (width !== this.#width) this.#redraw(width);
    });
    this.#observer.observe(this.#place);
  }

  /** Shows something else: what `draw` makes of a width, and these tables. */
  update(draw: (width: number) => Child, ...tables: Child[]): void {
    this.#draw = draw;
    this.#redraw(Math.floor(this.#place.clientWidth));
    refill(this.#numbers, ...tables);
  }

  close(): void {
    this.#observer.disconnect();
  }

  #redraw(width: number): void {
    this.#width = width;
    if (width > 0 && this.#draw) refill(this.#place, this.#draw(width));
  }
}
