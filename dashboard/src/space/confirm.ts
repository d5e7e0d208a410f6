/** Dialogs that ask once, and say in plain words what will happen. */

import { anonymousBehind } from "../model.ts";
import { type Child, h } from "../element.ts";
import { bytes, count, number, seconds, span } from "../words.ts";
import { forecast, type Picture, standing } from "./picture.ts";

interface Question {
  title: string;
  says: Child[];
  /** What can be ticked besides. */
  option?: { label: string; means: string };
  yes: string;
  no: string;
}

/** The answer: undefined for no, else whether the option was ticked. The focus goes back to where it was. */
function ask({ title, says, option, yes, no }: Question): Promise<{ ticked: boolean } | undefined> {
  const box = h("input", { type: "checkbox", id: "option" });
  const dialog = h(
    "dialog",
    { "aria-labelledby": "question" },
    h("h2", { id: "question" }, title),
    ...says,
    option && h("p", { class: "tick" }, box, h("label", { for: "option" }, option.label, h("span", { class: "soft" }, option.means))),
    h(
      "div",
      { class: "actions" },
      h("button", { type: "button", class: "primary", click: () => dialog.close("yes") }, yes),
      h("button", { type: "button", autofocus: true, click: () => dialog.close() }, no),
    ),
  );
  const before = document.activeElement;
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      if (before instanceof HTMLElement || before instanceof SVGElement) before.focus();
      resolve(dialog.returnValue === "yes" ? { ticked: box.checked } : undefined);
    });
  });
}

/** Whether the chosen window is to be set, and what is too old for it purged at once. */
export function askToApply(picture: Picture): Promise<{ ticked: boolean } | undefined> {
  const { chosen, space, stats, policy } = picture;
  const told = forecast(picture);
  const falls = [...standing(picture)].filter(([, standing]) => standing === "falls").map(([name]) => name);
  const longer = seconds(chosen) > seconds(space.retention);
  const unnamed = stats && told ? anonymousBehind({ ...stats, head: space.head }, told.horizon) : 0;
  const purges = told !== undefined && told.tombstones > 0;
  // A bound on their number takes younger ones too.
  const byAge = chosen !== "forever" && seconds(chosen) > 0 && policy?.max_tombstones == null;
  const points: Child[] = [
    `The retention of ${space.space} changes from ${span(space.retention)} to ${span(chosen)}.`,
    purges
      ? `${count(told.tombstones, "tombstone")}${byAge ? ` older than ${span(chosen)}` : ""} will be purged, which frees ${bytes(told.bytes)}. This cannot be undone.`
      : "No tombstone is purged now.",
    longer && "Tombstones that were purged before do not come back.",
    told && told.horizon > space.horizon && `The horizon rises from ${number(space.horizon)} to ${number(told.horizon)}.`,
    falls.length > 0
      ? [h("strong", {}, `${count(falls.length, "client")} will have to repair: `), `${falls.slice(0, 8).join(", ")}${falls.length > 8 ? ` and ${number(falls.length - 8)} more` : ""}. A repair fetches only what differs.`]
      : purges && "No known client falls behind.",
    unnamed > 0 && `${count(unnamed, "pull")} without a name came from further behind than that: who made them would have to repair as well.`,
    policy?.hold_for_clients && `Tombstones that known clients still need are held for up to ${span(policy.max_retention)}, whatever the window.`,
  ];
  return ask({
    title: `Remember deletions for ${span(chosen)}?`,
    says: [h("ul", {}, ...points.filter(Boolean).map((point) => h("li", {}, point)))],
    ...(purges && { option: { label: "Purge now", means: "Otherwise the compactor does it at its next run, usually within a minute." } }),
    yes: `Apply ${span(chosen)}`,
    no: "Change nothing",
  });
}

/** Whether a client is to be forgotten. */
export const askToForget = (client: string): Promise<{ ticked: boolean } | undefined> =>
  ask({
    title: `Forget ${client}?`,
    says: [
      h(
        "p",
        {},
        "The server no longer counts it among the clients, and holds no tombstones for it. If it comes back it is known again, and it will be told to repair if it is behind the horizon by then. Nothing is deleted from the client itself.",
      ),
    ],
    yes: `Forget ${client}`,
    no: "Keep it",
  });
