/** The page's one connection to ws_node: it watches every session that the page lists or shows. */

import { connect } from "../../partyline.js";

const OF_THE_LOG = ["message", "deleted", "edited", "reacted"];

export class Feed {
  constructor(token) {
    this._line = connect([], { token });
    this._listeners = new Map();
    for (const event of [...OF_THE_LOG, "external", "presence", "subscribed", "reload"])
      this._line.on(event, (detail) => this._pass(event, detail));
    addEventListener("online", () => this._line.nudge());
    addEventListener("pageshow", () => this._line.nudge());
    document.addEventListener("visibilitychange", () => document.hidden || this._line.nudge());
  }

  onState(listener) {
    listener(this._line.state);
    return this._line.on("state", listener);
  }

  /** Call `listener(event, detail)` for the events of a session (`*`: of all sessions). */
  listen(sessionId, listener) {
    const listeners = this._listeners.get(sessionId) ?? new Set();
    this._listeners.set(sessionId, listeners.add(listener));
    return () => listeners.delete(listener);
  }

  /** Watch a session from now, unless it is watched already. */
  watch(sessionId) {
    if (!this._line.sessions.includes(sessionId)) this._line.subscribe(sessionId);
  }

  /** Start or stop presence events of a watched session. */
  askPresence(sessionId, wanted) {
    this._line.askPresence(sessionId, wanted);
  }

  /** `{epoch, position}` as soon as the session has one. */
  async position(sessionId) {
    const known = this._line.position(sessionId);
    if (known) return known;
    return new Promise((resolve) => {
      const stop = this.listen(sessionId, () => {
        const position = this._line.position(sessionId);
        if (!position) return;
        stop();
        resolve(position);
      });
    });
  }

  retry() {
    this._line.nudge();
  }

  close() {
    this._line.close();
  }

  _pass(event, detail) {
    for (const key of [detail.sessionId, "*"])
      for (const listener of [...(this._listeners.get(key) ?? [])]) listener(event, detail);
  }
}
