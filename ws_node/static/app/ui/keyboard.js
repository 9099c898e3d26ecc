/** Keyboard shortcuts. They do not apply while the user types in a field. */

import { h } from "./dom.js";

const KEYS = [
  ["/", "search in this session, or in all"],
  ["f", "filter the sessions"],
  ["c", "write a message"],
  ["j, k", "next, previous message"],
  ["r", "reply to the message in focus"],
  ["End", "to the newest message"],
  ["Alt + ↓, ↑", "next, previous session"],
  ["?", "these keys"],
];

/** @param {() => object|null} view returns the view of the open session; null without one. */
export function listenToKeys(view) {
  const dialog = help();
  document.body.append(dialog);
  const acts = {
    "/": () =>
      (document.querySelector(".search-here") ?? document.querySelector(".search-all"))?.focus(),
    f: () => document.getElementById("filter")?.focus(),
    c: () => view()?.focusComposer(),
    j: () => step(1),
    k: () => step(-1),
    r: () => view()?.reply(Number(focused()?.dataset.id)),
    End: () => view()?.timeline.toBottom(),
    "?": () => dialog.showModal(),
  };
  addEventListener("keydown", (event) => {
    if (event.altKey && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
      event.preventDefault();
      session(event.key === "ArrowDown" ? 1 : -1);
      return;
    }
    const typing = event.target.closest?.("input, textarea, select, dialog");
    if (typing || event.ctrlKey || event.metaKey || event.altKey || !acts[event.key]) return;
    event.preventDefault();
    acts[event.key]();
  });
}

function focused() {
  return document.activeElement?.closest?.(".message") ?? null;
}

function step(by) {
  const all = [...document.querySelectorAll(".timeline .message[data-id]")];
  const at = all.indexOf(focused());
  const next = at < 0 ? all.at(-1) : all[at + by];
  next?.focus();
  next?.scrollIntoView({ block: "nearest" });
}

function session(by) {
  const all = [...document.querySelectorAll(".sessions a.session")];
  const at = all.findIndex((link) => link.getAttribute("aria-current") === "page");
  all[at < 0 ? 0 : at + by]?.click();
}

function help() {
  const rows = KEYS.map(([key, meaning]) => [h("dt", {}, h("kbd", {}, key)), h("dd", {}, meaning)]);
  return h(
    "dialog",
    { class: "help", "aria-label": "Keys" },
    h("h2", {}, "Keys"),
    h("dl", {}, rows),
    h("form", { method: "dialog" }, h("button", {}, "Close")),
  );
}
