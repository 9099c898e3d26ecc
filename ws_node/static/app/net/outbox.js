/**
 * Messages being sent to mcp_node. Each is stored with its idempotency key until the server has
 * committed it, so that a retry, even after a reload, cannot add it twice. They are sent one after
 * another in the order in which they were written: concurrent requests may be committed in any
 * order.
 */

import { addMessage } from "./api.js";
import { drop, keep, keys, read } from "./storage.js";

const PREFIX = "outbox.";
const PATIENCE_SECONDS = [1, 2, 4, 8];

/**
 * Items: {key, sessionId, content, visibility, parent, status, problem, id};
 * `status` is sending, waiting, failed or sent.
 */
export class Outbox {
  /** @param {(item: object|null) => void} changed called with a changed item; null: removed. */
  constructor(sessionId, changed) {
    this.sessionId = sessionId;
    this._changed = changed;
    this.items = stored(sessionId).map((item) => ({
      ...item,
      status: "failed",
      problem: "Not sent before the page was left.",
    }));
    this._timers = new Map();
    this._queue = [];
    this._current = null; // being sent, or waiting for a retry
  }

  add({ content, visibility, parent }) {
    const item = {
      key: crypto.randomUUID(),
      sessionId: this.sessionId,
      content,
      visibility,
      parent,
      at: new Date().toISOString(),
      tries: 0,
    };
    keep(PREFIX + item.key, JSON.stringify(item));
    this.items.push(item);
    this._enqueue(item);
    return item;
  }

  retry(item) {
    item.tries = 0;
    this._enqueue(item);
  }

  /** Retry what failed for want of a connection, now that there is one. */
  retryAll() {
    for (const item of this.items) if (item.status === "failed" && item.passing) this.retry(item);
  }

  discard(item) {
    clearTimeout(this._timers.get(item.key));
    drop(PREFIX + item.key);
    this.items = this.items.filter((one) => one !== item);
    this._queue = this._queue.filter((one) => one !== item);
    if (item.status === "waiting") this._done(item);
    this._changed(null);
  }

  /** A message arrived live: if it is an item of this outbox, remove that. */
  arrived(message, me) {
    const item =
      this.items.find((one) => one.id === message.id) ??
      this.items.find(
        (one) =>
          message.sender === me && one.status !== "failed" && one.content === message.content,
      );
    if (item) this.discard(item);
  }

  close() {
    for (const timer of this._timers.values()) clearTimeout(timer);
    this._queue = [];
  }

  _enqueue(item) {
    item.status = "sending";
    this._queue.push(item);
    this._changed(item);
    this._next();
  }

  _next() {
    if (this._current || !this._queue.length) return;
    this._current = this._queue.shift();
    this._send(this._current);
  }

  /** An item was sent, or is not retried automatically any more: send the next. */
  _done(item) {
    if (this._current !== item) return;
    this._current = null;
    this._next();
  }

  async _send(item) {
    item.status = "sending";
    item.tries += 1;
    this._changed(item);
    try {
      const answer = await addMessage(item.sessionId, {
        content: item.content,
        visibility: item.visibility,
        parent_message_id: item.parent ?? null,
        idempotency_key: item.key,
      });
      item.id = answer.message_id;
      item.status = "sent";
      drop(PREFIX + item.key);
    } catch (error) {
      this._failed(item, error);
    }
    const kept = this.items.includes(item); // false if it arrived live or was discarded meanwhile
    if (kept) this._changed(item);
    if (!kept || item.status !== "waiting") this._done(item);
  }

  _failed(item, error) {
    const wait = PATIENCE_SECONDS[item.tries - 1];
    item.passing = error.passing ?? true;
    item.problem = [error.message, error.next].filter(Boolean).join(" ");
    item.status = "failed";
    if (!item.passing || wait === undefined || !this.items.includes(item)) return;
    item.status = "waiting";
    this._timers.set(
      item.key,
      setTimeout(() => this._send(item), wait * 1000),
    );
  }
}

function stored(sessionId) {
  const items = [];
  for (const key of keys(PREFIX)) {
    try {
      const item = JSON.parse(read(key));
      if (item.sessionId === sessionId) items.push({ ...item, passing: true, tries: 0 });
    } catch {
      drop(key);
    }
  }
  return items.sort((one, other) => one.at.localeCompare(other.at));
}
