/** Tells the server how far the viewer has read, so that agents can know. */

import { ask } from "./api.js";

const EVERY_MS = 2_000;

export class Receipts {
  constructor(sessionId) {
    this._path = `/api/sessions/${encodeURIComponent(sessionId)}/read`;
    this.restart();
  }

  /** Everything up to `id` is read. */
  read(id) {
    if (id <= this._through) return;
    this._through = id;
    this._timer ??= setTimeout(() => this._send(), EVERY_MS);
  }

  /** The ids of another log begin. */
  restart() {
    this.close();
    this._through = 0;
  }

  close() {
    clearTimeout(this._timer);
    this._timer = null;
  }

  async _send() {
    this._timer = null;
    const through = this._through;
    try {
      await ask("POST", this._path, { body: { through } });
    } catch (error) {
      if (error.passing && this._through === through) this._through = 0; // said with the next look
    }
  }
}
