/** Sends the viewer's read position to the server, for the receipts that agents ask for. */

import { ask } from "./api.js";

const EVERY_MS = 2_000;

export class Receipts {
  constructor(sessionId) {
    this._path = `/api/sessions/${encodeURIComponent(sessionId)}/read`;
    this.restart();
  }

  /** The viewer has read everything up to `id`; it is sent a little later. */
  read(id) {
    if (id <= this._through) return;
    this._through = id;
    this._timer ??= setTimeout(() => this._send(), EVERY_MS);
  }

  /** The log was replaced: its ids start again. */
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
      // the next call of read() sends it again
      if (error.passing && this._through === through) this._through = 0;
    }
  }
}
