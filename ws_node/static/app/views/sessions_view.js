/** The list of sessions beside the conversation. */

import { h } from "../ui/dom.js";
import { line } from "../ui/hidden.js";
import { toSession } from "../model/route.js";
import { colours, initials } from "../model/sender.js";
import { whenShort } from "../ui/time.js";

const MOST_FACES = 4;

export class SessionsView {
  constructor(directory) {
    this._directory = directory;
    this._words = "";
    this._items = new Map();
    this._filter = h("input", {
      type: "search",
      id: "filter",
      placeholder: "Filter sessions",
      "aria-label": "Filter sessions",
      autocomplete: "off",
      oninput: (event) => ((this._words = event.target.value.toLowerCase()), this.update()),
    });
    this._list = h("ul", { class: "sessions" });
    this._note = h("p", { class: "note", hidden: true });
    this.element = h(
      "nav",
      { class: "sidebar", "aria-label": "Sessions" },
      h("div", { class: "filter" }, this._filter),
      this._list,
      this._note,
    );
  }

  /** Update the list; elements that exist are moved, not made again. */
  update() {
    const rows = this._directory.rows();
    const shownRows = rows.filter((row) => this._matches(row));
    const elements = shownRows.map((row) => this._item(row));
    const same =
      elements.length === this._list.children.length &&
      elements.every((e, at) => e === this._list.children[at]);
    if (!same) {
      const focused = this._list.contains(document.activeElement) ? document.activeElement : null;
      this._list.replaceChildren(...elements);
      focused?.focus({ preventScroll: true });
    }
    const { problem, loaded } = this._directory;
    const words = problem
      ? problem.message
      : !loaded
        ? "Loading…"
        : rows.length && !shownRows.length
          ? "No session matches."
          : "";
    this._note.textContent = words;
    this._note.hidden = !words;
  }

  _matches(row) {
    if (!this._words) return true;
    return [row.id, row.purpose, ...row.agents].some((text) =>
      text.toLowerCase().includes(this._words),
    );
  }

  _item(row) {
    const open = this._directory.open === row.id;
    const key = JSON.stringify([
      open,
      row.unread,
      row.dot,
      row.activity,
      row.last?.id,
      row.last?.deleted,
      row.purpose,
      row.closed,
      [...row.agents],
    ]);
    const known = this._items.get(row.id);
    if (known?.key === key) return known.element;
    const element = known?.element ?? h("li");
    element.replaceChildren(this._link(row, open));
    this._items.set(row.id, { key, element });
    return element;
  }

  _link(row, open) {
    const unread = row.unread || row.dot;
    return h(
      "a",
      {
        href: toSession(row.id),
        class: `session${unread ? " unread" : ""}${row.closed ? " ended" : ""}`,
        "aria-current": open ? "page" : null,
      },
      h(
        "span",
        { class: "row" },
        h("span", { class: "name" }, row.id),
        row.closed ? h("span", { class: "badge" }, "closed") : null,
        h("span", { class: "when" }, whenShort(row.activity)),
      ),
      h(
        "span",
        { class: "row" },
        h("span", { class: "last" }, lastLine(row)),
        unread
          ? h(
              "span",
              { class: "dot" },
              h("span", { class: "unseen" }, `${row.unread || ""} unread`),
              row.unread
                ? h("span", { "aria-hidden": "true" }, row.unread > 99 ? "99+" : String(row.unread))
                : null,
            )
          : null,
      ),
      h(
        "span",
        { class: "row" },
        h("span", { class: "purpose" }, line(row.purpose, 90)),
        faces(row),
      ),
    );
  }
}

function lastLine({ last }) {
  if (!last) return "No messages yet";
  if (last.deleted) return "A message was deleted";
  return [h("b", {}, `${last.sender}: `), ...line(last.content, 90)];
}

function faces({ id, agents }) {
  const names = [...agents].slice(-MOST_FACES);
  if (!names.length) return null;
  return h(
    "span",
    { class: "faces", role: "img", "aria-label": `With ${names.join(", ")}` },
    names.map((name) =>
      h("span", { class: `face small hue-${colours(id).of(name)}`, title: name }, initials(name)),
    ),
  );
}
