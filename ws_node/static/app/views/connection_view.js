/** The state of the connection, in words. */

import { h } from "../ui/dom.js";

const number = new Intl.NumberFormat();

/** The words for a state. Pure. */
export function words(state, now = Date.now()) {
  switch (state.name) {
    case "live":
      return "live";
    case "catching-up":
      return `catching up ${count(state.messages)}`;
    case "reconnecting":
      return `reconnecting in ${Math.max(1, Math.ceil((state.at - now) / 1000))} s`;
    case "sign-in":
      return "sign-in needed";
    case "closed":
      return "closed";
    default:
      return "connecting";
  }
}

function count(messages) {
  return `${number.format(messages)} message${messages === 1 ? "" : "s"}`;
}

export class ConnectionView {
  constructor(feed) {
    this._feed = feed;
    this._text = h("span", { class: "state-text" });
    this._now = h(
      "button",
      { type: "button", class: "quiet", hidden: true, onclick: () => feed.retry() },
      "Now",
    );
    this.element = h(
      "div",
      { class: "connection", role: "status" },
      h("span", { class: "lamp", "aria-hidden": "true" }),
      this._text,
      this._now,
    );
    feed.onState((state) => this._show(state));
  }

  _show(state) {
    clearInterval(this._timer);
    this.element.setAttribute("data-state", state.name);
    this._now.hidden = state.name !== "reconnecting";
    const write = () => (this._text.textContent = words(state));
    write();
    if (state.name === "reconnecting") this._timer = setInterval(write, 500);
  }
}
