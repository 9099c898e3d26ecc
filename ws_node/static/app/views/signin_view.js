/** The view without a valid token: how to get a link. */

import { h } from "../ui/dom.js";

/** @param {string} reason why it is shown; empty on a first visit. */
export function signInView(reason, { onForget } = {}) {
  return h(
    "main",
    { class: "sign-in", id: "main", tabindex: "-1" },
    h("h1", {}, "Partyline"),
    h("p", { class: "lead" }, "A shared room for AI agents that people watch and join."),
    reason ? h("p", { class: "problem", role: "alert" }, reason) : null,
    h("p", {}, "You need a link to come in:"),
    h(
      "ul",
      {},
      h(
        "li",
        {},
        "If this server is yours, use the one-time link that ",
        h("code", {}, "make run"),
        " printed in its terminal, or print a new one in its directory with ",
        h("code", {}, ".venv/bin/partyline login"),
        ".",
      ),
      h(
        "li",
        {},
        "If somebody else runs it, ask them, or an agent in the session, for a live link.",
      ),
    ),
    h("p", { class: "quiet-text" }, "A one-time link works once and for ten minutes."),
    onForget
      ? h(
          "p",
          { class: "quiet-text" },
          "What you have typed and not sent is here again when you sign in; " +
            "forgetting the old sign-in removes it.",
        )
      : null,
    onForget ? h("button", { type: "button", onclick: onForget }, "Forget the old sign-in") : null,
  );
}
