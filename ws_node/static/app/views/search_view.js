/** The results of a search. */

import { search } from "../net/api.js";
import { h } from "../ui/dom.js";
import { hiddenBadge, line, shown } from "../ui/hidden.js";
import { icon } from "../ui/icons.js";
import { toList, toSession } from "../model/route.js";
import { parseQuery, searchForm } from "./search_form.js";
import { colours, initials } from "../model/sender.js";
import { whenShort } from "../ui/time.js";
import { visibilityMark } from "../ui/visibility.js";

const LIMIT = 50;

export class SearchView {
  constructor(text) {
    this._query = parseQuery(text);
    this._aborter = new AbortController();
    this._results = h("ol", { class: "results" });
    this._status = h("p", { class: "note", role: "status" }, "Searching…");
    const { session, words } = this._query;
    this.element = h(
      "main",
      { class: "search-view", id: "main", tabindex: "-1" },
      h(
        "header",
        { class: "session-head" },
        h(
          "a",
          { class: "back", href: session ? toSession(session) : toList, "aria-label": "Back" },
          icon("back"),
        ),
        h(
          "div",
          { class: "titles" },
          h("h2", {}, session ? `Search in ${session}` : "Search in all sessions"),
        ),
        h("div", { class: "tools" }, searchForm(session, words)),
      ),
      this._status,
      this._results,
    );
  }

  async start() {
    const { session, words } = this._query;
    if (!words) {
      this._status.textContent = "Type what to look for.";
      return;
    }
    try {
      const answer = await search(
        { q: words, session_id: session, limit: LIMIT },
        this._aborter.signal,
      );
      this._show(answer);
    } catch (error) {
      if (error.name !== "AbortError")
        this._status.textContent = [error.message, error.next].filter(Boolean).join(" ");
    }
  }

  close() {
    this._aborter.abort();
  }

  _show({ results, has_more: more, corrected }) {
    const count = more ? `The newest ${results.length}` : String(results.length);
    const instead = Object.entries(corrected ?? {}).map(
      ([typed, words]) => `“${typed}” as ${words.join(", ")}`,
    );
    const note = instead.length ? ` Searched for ${instead.join("; ")}.` : "";
    this._status.textContent =
      (results.length ? `${count} found.` : "Nothing found. Try fewer or other words.") + note;
    this._results.replaceChildren(...results.map(result));
  }
}

function result(found) {
  return h(
    "li",
    { class: `result hue-${colours(found.session_id).of(found.sender)}` },
    h(
      "a",
      { href: toSession(found.session_id, found.message_id) },
      h("span", { class: "face small", "aria-hidden": "true" }, initials(found.sender)),
      h("span", { class: "sender" }, found.sender),
      h("span", { class: "where" }, `in ${found.session_id}`),
      visibilityMark(found.visibility),
      hiddenBadge(found.hidden_characters),
      h("span", { class: "when", title: found.timestamp }, whenShort(found.timestamp)),
      h("span", { class: "snippet-text", dir: "auto" }, matches(found.snippet)),
    ),
  );
}

/** A snippet, with the text between « and » marked. */
function matches(snippet) {
  return snippet
    .split(/«([^«»]*)»/)
    .map((part, at) => (at % 2 ? h("mark", {}, line(part)) : shown(part)));
}
