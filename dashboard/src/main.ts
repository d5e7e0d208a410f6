/** Which view is shown: the list of spaces, or one space. The address says it, so that it can be bookmarked. */

import { listView } from "./spaces.ts";
import { spaceView } from "./space.ts";

/** A view that is shown: how to end it. */
export interface View {
  close(): void;
}

const main = document.getElementById("main")!;
let view: View | undefined;

function show(arrived: boolean): void {
  view?.close();
  const name = new URLSearchParams(location.search).get("space");
  document.title = name === null ? "Spaces – Strandline" : `${name} – Strandline`;
  view = name === null ? listView(main) : spaceView(main, name);
  // Whoever followed a link hears where it led.
  if (arrived) {
    main.focus({ preventScroll: true });
    scrollTo(0, 0);
  }
}

/** Follows a link of the page's own without loading it anew. */
document.addEventListener("click", (event) => {
  const link = event.target instanceof Element ? event.target.closest("a") : null;
  const plain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
  if (!link || !plain || event.defaultPrevented || link.origin !== location.origin || link.pathname !== "/" || link.hash !== "") return;
  event.preventDefault();
  if (link.href !== location.href) history.pushState(null, "", link.href);
  show(true);
});
addEventListener("popstate", () => show(true));
show(false);
