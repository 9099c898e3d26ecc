/** One message on the page. */

import { h } from "../ui/dom.js";
import { folded } from "./folding.js";
import { hiddenBadge, line, shown } from "../ui/hidden.js";
import { icon } from "../ui/icons.js";
import { size, tree } from "../ui/json_tree.js";
import { toSession } from "../model/route.js";
import { colours, initials } from "../model/sender.js";
import { editedMark, timeOf } from "../ui/time.js";
import { reactButton, reactionChips } from "./reactions_view.js";
import { visibilityMark } from "../ui/visibility.js";

/**
 * @param {object} message as in REST and in the live protocol.
 * @param {object} context
 * @param {string} context.sessionId
 * @param {string} context.me the viewer's own name
 * @param {object} [context.parent] the message it replies to, if known
 * @param {((message) => void)|null} context.onReply null if the viewer may not write
 * @param {((message, reaction, remove: boolean) => void)|null} context.onReact likewise
 */
export function messageView(message, context) {
  const deleted = message.deleted === true;
  const body = h(
    "div",
    { class: "body" },
    meta(message, context, deleted),
    quote(message, context),
    h("div", { class: "content" }, deleted ? tombstone() : folded(message.content)),
    deleted ? null : metadata(message.metadata),
    reactionChips(message, context),
  );
  return h(
    "li",
    {
      class: classOf(message, context.sessionId),
      id: `message-${message.id}`,
      "data-id": String(message.id),
      "data-sender": message.sender,
      tabindex: "-1",
      "aria-label": `${message.sender}, message ${message.id}`,
    },
    face(message.sender),
    body,
  );
}

/** An event of /broadcast, marked as external: its sender is not verified. */
export function externalView({ type, data }) {
  const message = typeof data.content === "string" ? data : null;
  const sender = typeof data.sender === "string" ? data.sender : "external";
  return h(
    "li",
    { class: "message external", tabindex: "-1" },
    h("span", { class: "face", "aria-hidden": "true" }, icon("link")),
    h(
      "div",
      { class: "body" },
      h(
        "div",
        { class: "meta" },
        h("span", { class: "sender" }, line(sender, 64)),
        badge(
          "external, unverified",
          "Anything on the server's machine may have sent this. It is not stored.",
        ),
        message ? null : h("span", { class: "type" }, line(type, 64)),
        timeOf(new Date().toISOString()),
      ),
      message ? h("div", { class: "content" }, folded(data.content)) : tree(data),
    ),
  );
}

/** Draw a message again that was edited or deleted; its element and its replies stay. */
export function redraw(element, message, context) {
  const body = element.querySelector(":scope > .body");
  const focused = body.contains(document.activeElement);
  body.replaceWith(messageView(message, context).querySelector(":scope > .body"));
  element.classList.toggle("deleted", message.deleted === true);
  if (focused) element.focus({ preventScroll: true });
}

/** Draw the reactions of a message again, and nothing else of it. */
export function redrawReactions(element, message, context) {
  const body = element.querySelector(":scope > .body");
  const old = body.querySelector(":scope > .reactions");
  const focused = old?.contains(document.activeElement) && document.activeElement.dataset.reaction;
  old?.remove();
  const chips = reactionChips(message, context);
  if (chips) body.append(chips);
  if (focused) (chips?.querySelector(`[data-reaction="${focused}"]`) ?? element).focus();
}

/** What a message quotes of the one that it replies to was edited or deleted. */
export function requote(element, message, context) {
  element.querySelector(":scope > .body > .quote")?.replaceWith(quote(message, context));
}

/** A square with the initials of a name, in its colour. */
export function face(name) {
  return h("span", { class: "face", "aria-hidden": "true" }, initials(name));
}

function badge(word, meaning) {
  return h("span", { class: "badge", title: meaning }, word);
}

function meta(message, { sessionId, me, onReply, onReact }, deleted) {
  const type = message.sender_type;
  return h(
    "div",
    { class: "meta" },
    h("span", { class: "sender" }, shown(message.sender)),
    message.sender === me ? h("span", { class: "you" }, "you") : null,
    type === "guest"
      ? badge("guest", "Somebody with a link that an agent or person gave out.")
      : null,
    type !== "guest" && type !== message.sender ? h("span", { class: "type" }, shown(type)) : null,
    visibilityMark(message.visibility),
    hiddenBadge(message.hidden_characters),
    timeOf(message.timestamp),
    message.edited_at && !deleted ? editedMark(message.edited_at) : null,
    h(
      "a",
      { class: "number", href: toSession(sessionId, message.id), title: "Link to this message" },
      `#${message.id}`,
    ),
    onReact && !deleted ? reactButton(message, onReact) : null,
    onReply && !deleted
      ? h(
          "button",
          {
            type: "button",
            class: "quiet reply",
            "aria-label": `Reply to message ${message.id}`,
            onclick: () => onReply(message),
          },
          icon("reply"),
          h("span", {}, "Reply"),
        )
      : null,
  );
}

function quote(message, { sessionId, parent }) {
  const id = message.parent_message_id;
  if (!id) return null;
  const words = parent && !parent.deleted
    ? [h("b", {}, shown(parent.sender)), " ", ...line(parent.content, 90)]
    : `message #${id}`;
  return h(
    "a",
    { class: "quote", href: toSession(sessionId, id), "data-parent": String(id) },
    h("span", { class: "unseen" }, "in reply to "),
    words,
  );
}

function metadata(value) {
  if (!value || !Object.keys(value).length) return null;
  const details = h("details", { class: "metadata" }, h("summary", {}, `metadata, ${size(value)}`));
  details.addEventListener("toggle", () => details.append(tree(value)), { once: true });
  return details;
}

function tombstone() {
  return h("p", { class: "tombstone" }, "This message was deleted.");
}

function classOf({ sender, sender_type: type, deleted }, sessionId) {
  const kind = ["human", "guest"].includes(type) ? type : "agent";
  const hue = colours(sessionId).of(sender);
  return `message hue-${hue} kind-${kind}${deleted === true ? " deleted" : ""}`;
}

/** A line that points to a reply further up; `go` goes there. */
export function pointerView(message, go) {
  return h(
    "li",
    { class: "pointer" },
    h(
      "button",
      { type: "button", onclick: go },
      icon("reply"),
      h("b", {}, message.sender),
      " replied above: ",
      h("span", {}, line(message.content, 80)),
    ),
  );
}
