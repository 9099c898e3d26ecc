/** The list of sessions, kept up to date, latest activity first. No DOM. */

import { changed } from "./changes.js";
import { getMessages, listSessions } from "../net/api.js";
import { firstVisit, forgetSeen, markSeen, seen } from "./unread.js";

const MOST = 90; // a connection may watch 100 sessions; the rest is for those opened by address
const EVERY_MS = 5_000;
const AT_ONCE = 4;

/** Rows: {id, purpose, activity, last: message|null, unread: number, closed, messages}. */
export class Directory {
  constructor(feed, changed) {
    this._feed = feed;
    this._changed = changed;
    this._rows = new Map();
    this._since = firstVisit();
    this._epoch = null;
    this.open = null;
    this.loaded = false;
    this.problem = null;
    feed.listen("*", (event, detail) => this._hear(event, detail));
  }

  /** Load the list now, and every few seconds while the page is visible. */
  async start() {
    const look = () => document.hidden || this.refresh();
    this._timer = setInterval(look, EVERY_MS);
    document.addEventListener("visibilitychange", look);
    this.stop = () => {
      clearInterval(this._timer);
      document.removeEventListener("visibilitychange", look);
    };
    await this.refresh();
  }

  async refresh() {
    const rows = this._rows;
    try {
      const { sessions } = await listSessions(MOST);
      if (rows !== this._rows) return; // the log was replaced meanwhile
      this.problem = null;
      for (const session of sessions) this._update(session);
      const missing = sessions
        .map((s) => this._rows.get(s.session_id))
        .filter((row) => !row.last && !row.asked);
      this._readLast(missing);
    } catch (error) {
      this.problem = error;
    }
    this.loaded = true;
    this._changed();
  }

  rows() {
    return [...this._rows.values()].sort((one, other) =>
      one.activity < other.activity
        ? 1
        : one.activity > other.activity
          ? -1
          : one.id < other.id
            ? -1
            : 1,
    );
  }

  row(sessionId) {
    return this._rows.get(sessionId);
  }

  get unread() {
    return [...this._rows.values()].reduce((sum, row) => sum + row.unread, 0);
  }

  /** Mark a session as read up to `id`. */
  saw(sessionId, id) {
    markSeen(sessionId, id);
    const row = this._rows.get(sessionId);
    if (!row || (!row.unread && !row.dot)) return;
    row.unread = 0;
    row.dot = false;
    this._changed();
  }

  _update(session) {
    const id = session.session_id;
    const row = this._rows.get(id) ?? {
      id,
      last: null,
      unread: 0,
      dot: false,
      asked: false,
      agents: new Set(),
    };
    const activity = session.last_activity ?? session.created_at;
    this._rows.set(id, row);
    row.purpose = session.purpose;
    row.closed = Boolean(session.closed_at);
    row.messages = session.message_count;
    row.createdBy = session.created_by;
    if (!row.activity || activity > row.activity) row.activity = activity;
    this._feed.watch(id);
  }

  async _readLast(rows) {
    const waiting = [...rows];
    for (const row of waiting) row.asked = true;
    const one = async () => {
      for (let row; (row = waiting.shift());) {
        try {
          const { messages } = await getMessages(row.id, { limit: 5 });
          for (const message of messages) this._last(row, message);
          const newest = messages.at(-1);
          row.dot = Boolean(newest && newest.id > seen(row.id) && newest.timestamp > this._since);
        } catch {
          row.asked = false; // retried with the next refresh
        }
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, one));
    this._changed();
  }

  _last(row, message) {
    row.agents.add(message.sender);
    if (!message.deleted && (!row.last || message.id > row.last.id)) row.last = message;
  }

  /** The log was replaced, for example by a restore: load everything again. */
  _startOver() {
    forgetSeen();
    this._rows = new Map();
    this.refresh();
  }

  _hear(event, { sessionId, data, epoch }) {
    if (event === "subscribed" || event === "reload") {
      const other = this._epoch !== null && this._epoch !== epoch;
      this._epoch = epoch;
      if (other) return this._startOver();
    }
    const row = this._rows.get(sessionId);
    if (!row) return;
    if (event === "message") {
      this._last(row, data);
      if (!row.activity || data.timestamp > row.activity) row.activity = data.timestamp;
      if (data.id > seen(sessionId)) row.unread += 1;
    } else if (event === "deleted" || event === "edited") {
      if (row.last?.id === data.id) row.last = changed(row.last, event, data);
    } else if (event === "reload") {
      row.last = null;
      row.asked = false;
      this._readLast([row]);
    } else return;
    this._changed();
  }
}
