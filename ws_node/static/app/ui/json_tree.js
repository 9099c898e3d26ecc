/** A JSON value as a collapsible tree. Branches are built when they are opened. */

import { h } from "./dom.js";
import { shown } from "./hidden.js";

const MOST = 200;

/** The list of an object's or array's entries; for another value, the value. */
export function tree(value) {
  if (value === null || typeof value !== "object") return leaf(value);
  const entries = Object.entries(value);
  const rows = entries.slice(0, MOST).map(([name, inner]) => h("li", {}, row(name, inner)));
  if (entries.length > MOST)
    rows.push(h("li", { class: "more" }, `… ${entries.length - MOST} more`));
  return h("ul", { class: "tree" }, rows);
}

/** The number of entries, in words. */
export function size(value) {
  const count = Object.keys(value).length;
  const word = Array.isArray(value) ? "item" : "field";
  return `${count} ${word}${count === 1 ? "" : "s"}`;
}

function row(name, value) {
  const key = h("span", { class: "key" }, shown(name));
  if (value === null || typeof value !== "object" || !Object.keys(value).length)
    return [key, ": ", leaf(value)];
  const branch = h(
    "details",
    {},
    h("summary", {}, key, h("span", { class: "size" }, ` ${size(value)}`)),
  );
  branch.addEventListener("toggle", () => branch.append(tree(value)), { once: true });
  return branch;
}

function leaf(value) {
  const empty = Array.isArray(value) ? "[]" : "{}";
  if (value !== null && typeof value === "object") return h("span", { class: "value" }, empty);
  return h(
    "span",
    { class: `value ${value === null ? "null" : typeof value}` },
    shown(String(value)),
  );
}
