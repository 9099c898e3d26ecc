/** The composer. Enter sends, Shift+Enter breaks the line; drafts are stored. */

import { h } from "../ui/dom.js";
import { line } from "../ui/hidden.js";
import { icon } from "../ui/icons.js";
import { drop, keep, read } from "../net/storage.js";
import { choices } from "../ui/visibility.js";

const MOST = 100_000;
const WARN = 90_000;
const number = new Intl.NumberFormat();

/** The visibility of a reply to such a message: a wider one would quote it to others. */
const NO_WIDER = { private: "private", agent_only: "admin_only", admin_only: "admin_only" };

export class Composer {
  /** @param {(message: {content, visibility, parent}) => void} onSend */
  constructor(sessionId, who, onSend) {
    this._draftKey = `draft.${sessionId}`;
    this._onSend = onSend;
    this._parent = null;
    this._replying = h("div", { class: "replying", hidden: true });
    this._text = h("textarea", {
      id: "composer-text",
      rows: "1",
      placeholder: `Message ${sessionId}`,
      "aria-label": `Message to ${sessionId}. Enter sends, Shift and Enter breaks the line.`,
      oninput: () => this._typed(),
      onkeydown: (event) => this._key(event),
    });
    const offered = choices(who);
    this._visibility = h(
      "select",
      { "aria-label": "Who sees it", disabled: offered.length === 1 },
      offered.map(([value, word, meaning]) => h("option", { value, title: meaning }, word)),
    );
    this._count = h("span", { class: "count" });
    this._button = h("button", { type: "submit", class: "primary", disabled: true }, "Send");
    this.element = h(
      "form",
      { class: "composer", onsubmit: (event) => (event.preventDefault(), this._send()) },
      this._replying,
      this._text,
      h(
        "div",
        { class: "composer-bar" },
        h("label", {}, h("span", {}, "seen by "), this._visibility),
        this._count,
        h("span", { class: "hint" }, "Enter sends, Shift+Enter breaks the line"),
        this._button,
      ),
    );
    this._text.value = read(this._draftKey) ?? "";
    queueMicrotask(() => this._typed());
  }

  focus() {
    this._text.focus();
  }

  reply(message) {
    this._parent = message.id;
    const fitting = NO_WIDER[message.visibility];
    if (fitting) this._visibility.value = fitting;
    const stop = h(
      "button",
      {
        type: "button",
        class: "quiet",
        "aria-label": "Do not reply to it",
        onclick: () => this.stopReply(),
      },
      icon("close"),
    );
    this._replying.replaceChildren(
      icon("reply"),
      h("span", {}, "Reply to ", h("b", {}, message.sender), ": ", ...line(message.content, 80)),
      stop,
    );
    this._replying.hidden = false;
    this.focus();
  }

  stopReply() {
    this._parent = null;
    this._replying.hidden = true;
  }

  /** Put an unsent message into the composer, after what is being typed. */
  edit({ content, visibility }) {
    this._text.value = [this._text.value, content].filter(Boolean).join("\n");
    this._visibility.value = visibility;
    this._typed();
    this.focus();
  }

  _key(event) {
    if (event.key === "Escape" && this._parent) this.stopReply();
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    this._send();
  }

  _typed() {
    const { value } = this._text;
    if (value) keep(this._draftKey, value);
    else drop(this._draftKey);
    const length = [...value].length;
    this._count.textContent =
      length > WARN ? `${number.format(length)} of ${number.format(MOST)}` : "";
    this._count.classList.toggle("over", length > MOST);
    this._button.disabled = !value.trim() || length > MOST;
    this._text.rows = Math.min(8, Math.max(1, value.split("\n").length));
  }

  _send() {
    if (this._button.disabled) return;
    this._onSend({
      content: this._text.value,
      visibility: this._visibility.value,
      parent: this._parent,
    });
    this._text.value = "";
    this.stopReply();
    this._typed();
  }
}
