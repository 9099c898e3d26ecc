/** A message that is not in the log yet, with its status. */

import { h } from "../ui/dom.js";
import { folded } from "./folding.js";
import { face } from "./message_view.js";
import { colours } from "../model/sender.js";
import { visibilityMark } from "../ui/visibility.js";

const WORDS = {
  sending: "sending…",
  waiting: "no answer yet, trying again…",
  sent: "sent",
  failed: "not sent",
};

/** @param {{onRetry, onDiscard, onEdit}} actions each called with the item. */
export function pendingView(item, me, actions) {
  const button = (word, act) => h("button", { type: "button", onclick: () => act(item) }, word);
  const hue = colours(item.sessionId).of(me);
  const failed = item.status === "failed";
  return h(
    "li",
    { class: `message pending ${item.status} hue-${hue}`, "data-key": item.key },
    face(me),
    h(
      "div",
      { class: "body" },
      h(
        "div",
        { class: "meta" },
        h("span", { class: "sender" }, me),
        h("span", { class: "you" }, "you"),
        visibilityMark(item.visibility),
        h("span", { class: "status", role: "status" }, WORDS[item.status]),
      ),
      h("div", { class: "content" }, folded(item.content)),
      failed || item.status === "waiting" ? h("p", { class: "problem" }, item.problem) : null,
      failed
        ? h(
            "div",
            { class: "actions" },
            button("Retry", actions.onRetry),
            button("Edit", actions.onEdit),
            button("Discard", actions.onDiscard),
          )
        : null,
    ),
  );
}
