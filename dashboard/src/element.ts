/**
 * Elements made from code. Texts become text nodes and never markup, so that nothing in a name can be more than a name;
 * nothing sets a `style` attribute, which the page's content policy forbids.
 */

export type Child = Node | string | number | null | undefined | false | Child[];
type Attributes = Record<string, string | number | boolean | undefined | ((event: Event) => void)>;

/** An element; a function among the attributes listens to the event of that name, true is an attribute without a value. */
export function h<K extends keyof HTMLElementTagNameMap>(tag: K, attributes: Attributes = {}, ...children: Child[]): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== undefined) element.setAttribute(name, String(value));
  }
  element.append(...nodes(children));
  return element;
}

function nodes(children: Child[]): (Node | string)[] {
  return children.flatMap((child) => {
    if (Array.isArray(child)) return nodes(child);
    return child === null || child === undefined || child === false ? [] : [typeof child === "number" ? String(child) : child];
  });
}

/**
 * Replaces what is in `container`. Who had the focus on an element with a `data-key` has it on the new one of that key:
 * what comes in live must not throw a keyboard user out.
 */
export function refill(container: HTMLElement, ...children: Child[]): void {
  const focused = document.activeElement;
  const key = focused && container.contains(focused) ? focused.getAttribute("data-key") : null;
  container.replaceChildren(...nodes(children));
  if (key === null) return;
  for (const element of container.querySelectorAll<HTMLElement | SVGElement>("[data-key]")) {
    if (element.getAttribute("data-key") === key) element.focus();
  }
  if (container.contains(document.activeElement)) return;
  // It is gone: what it was in is the next best place.
  const place = container.closest<HTMLElement>("section, main");
  place?.setAttribute("tabindex", "-1");
  place?.focus({ preventScroll: true });
}

/** A table whose first column names the row; `numbers` are the columns, counted from 0, that are set flush right. */
export function table(caption: string, head: string[], rows: Child[][], numbers: number[] = []): HTMLTableElement {
  const side = (column: number) => (numbers.includes(column) ? "number" : undefined);
  return h(
    "table",
    {},
    h("caption", {}, caption),
    h("thead", {}, h("tr", {}, ...head.map((name, at) => h("th", { scope: "col", class: side(at) }, name)))),
    h(
      "tbody",
      {},
      ...rows.map((row) => h("tr", {}, ...row.map((cell, at) => (at === 0 ? h("th", { scope: "row", class: side(at) }, cell) : h("td", { class: side(at) }, cell))))),
    ),
  );
}

/** What scrolls by itself where it is too wide, and can be scrolled by keyboard. */
export function scrolling(label: string, ...children: Child[]): HTMLElement {
  return h("div", { class: "scroll", role: "region", "aria-label": label, tabindex: 0 }, ...children);
}
