/** The search field, for one session or all. */

import { h } from "../ui/dom.js";
import { icon } from "../ui/icons.js";
import { toSearch } from "../model/route.js";

/** @param {string|null} sessionId the session to search; null: all. */
export function searchForm(sessionId, words = "") {
  const label = sessionId ? `Search in ${sessionId}` : "Search all sessions";
  const field = h("input", {
    type: "search",
    class: sessionId ? "search-here" : "search-all",
    placeholder: sessionId ? "Search here" : "Search all",
    "aria-label": label,
    autocomplete: "off",
    value: words,
  });
  const submit = (event) => {
    event.preventDefault();
    const typed = field.value.trim();
    if (typed) location.hash = toSearch(sessionId ? `in:${sessionId} ${typed}` : typed);
  };
  return h(
    "form",
    { class: "search-form", role: "search", onsubmit: submit },
    icon("search"),
    field,
  );
}

/** Parse `in:room some words` into `{session, words}`. Pure. */
export function parseQuery(text) {
  const match = /^in:([A-Za-z0-9][A-Za-z0-9._-]{0,63})(?:\s+|$)/.exec(text.trim());
  return match
    ? { session: match[1], words: text.trim().slice(match[0].length) }
    : { session: null, words: text.trim() };
}
