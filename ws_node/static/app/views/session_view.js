/** An open session: its header, messages, presence and composer. */

import { announce } from "../ui/announce.js";
import { ApiError, getMessages, getSession, react } from "../net/api.js";
import { Composer } from "./composer.js";
import { h } from "../ui/dom.js";
import { exportMenu } from "./export.js";
import { hiddenBadge, line, written } from "../ui/hidden.js";
import { icon } from "../ui/icons.js";
import { Outbox } from "../net/outbox.js";
import { pendingView } from "./pending_view.js";
import { PresenceView } from "./presence_view.js";
import { toList } from "../model/route.js";
import { Receipts } from "../net/receipts.js";
import { searchForm } from "./search_form.js";
import { Timeline } from "./timeline.js";

const PAGE = 100;
const LEAP = 500;
const MOST_LEAPS = 40;
const LOGGED = new Set(["message", "deleted", "edited", "reacted"]);

export class SessionView {
  constructor(sessionId, { feed, directory, who }) {
    this.sessionId = sessionId;
    this._feed = feed;
    this._directory = directory;
    this._who = who;
    this._queue = []; // events of the log that are not drawn yet
    this._late = []; // changes that arrived while older messages were being read
    this._newest = 0;
    this._aborter = new AbortController();
    this._receipts = who.unverified ? null : new Receipts(sessionId);
    const writes = who.scopes.includes("write");
    this._outbox = new Outbox(sessionId, () => this._drawPending());
    this._composer = writes ? new Composer(sessionId, who, (message) => this._send(message)) : null;
    this.timeline = new Timeline({
      sessionId,
      me: who.name,
      onReply: writes ? (message) => this._composer.reply(message) : null,
      onReact: writes ? (...reaction) => this._react(...reaction) : null,
      onOlder: () => this._older(),
      onSeen: () => this._saw(),
      onTrimmed: () => (this._more = true),
    });
    this._presence = new PresenceView(sessionId);
    this._purpose = h("p", { class: "purpose" });
    this._note = h("p", { class: "note", role: "alert", hidden: true });
    this.element = h(
      "main",
      { class: "session-view", id: "main", tabindex: "-1" },
      this._head(),
      this._note,
      this.timeline.element,
      this._foot(),
    );
    this._stops = [
      feed.listen(sessionId, (event, detail) => this._hear(event, detail)),
      feed.onState((state) => state.name === "live" && this._outbox.retryAll()),
    ];
    this._seeing = () => this._saw();
    document.addEventListener("visibilitychange", this._seeing);
    this._drawPending();
  }

  /** Load the newest messages; with `messageId`, scroll to that message. */
  async start(messageId) {
    this._describe();
    await this._load();
    if (messageId) await this.show(messageId);
  }

  /** Scroll to a message, loading older ones until it is there. */
  async show(messageId) {
    for (
      let leaps = 0;
      leaps < MOST_LEAPS &&
      !this.timeline.has(messageId) &&
      this._more &&
      (this.timeline.oldest ?? 0) > messageId;
      leaps += 1
    )
      if (!(await this._older(LEAP))) break;
    if (!this.timeline.show(messageId))
      this._say(`Message #${messageId} is not here, or not for you to see.`);
  }

  focusComposer() {
    this._composer?.focus();
  }

  reply(messageId) {
    const entry = this.timeline.conversation.entry(messageId);
    if (entry && this._composer) this._composer.reply(entry.message);
  }

  close() {
    this._aborter.abort();
    for (const stop of this._stops) stop();
    document.removeEventListener("visibilitychange", this._seeing);
    this._feed.askPresence(this.sessionId, false);
    this._presence.close();
    this._receipts?.close();
    clearTimeout(this._again);
    this._outbox.close();
    this.timeline.close();
  }

  _head() {
    return h(
      "header",
      { class: "session-head" },
      h("a", { class: "back", href: toList, "aria-label": "All sessions" }, icon("back")),
      h("div", { class: "titles" }, h("h2", {}, this.sessionId), this._purpose),
      this._presence.element,
      h("div", { class: "tools" }, searchForm(this.sessionId), exportMenu(this.sessionId)),
    );
  }

  _foot() {
    if (this._composer) return this._composer.element;
    return h("p", { class: "read-only" }, "You are watching. This link does not let you write.");
  }

  async _describe() {
    try {
      const session = await getSession(this.sessionId);
      const badge = hiddenBadge(session.hidden_characters);
      this._purpose.replaceChildren(...line(session.purpose, 300), ...(badge ? [" ", badge] : []));
      this._purpose.title = written(session.purpose);
    } catch (error) {
      if (error.status === 404)
        this._say("Nothing has been said here yet, or this link does not cover this session.");
    }
  }

  /**
   * Load the messages up to the position where live messages begin, newest page first. Messages at
   * or below it come from history, those above it live: so there is no gap and no duplicate.
   */
  async _load() {
    this._aborter.abort(); // answers still under way may be of another log
    clearTimeout(this._again);
    const { signal } = (this._aborter = new AbortController());
    this._ready = false;
    this._newest = 0;
    this._receipts?.restart();
    this.timeline.clear();
    this.timeline.setTop("Loading…", false);
    this._feed.watch(this.sessionId);
    const { position } = await this._feed.position(this.sessionId);
    if (signal.aborted) return;
    this._feed.askPresence(this.sessionId, true);
    this._more = true;
    this._edge = position + 1;
    await this._older();
    if (signal.aborted) return;
    this._ready = true;
    this._flush();
    this.timeline.toBottom();
  }

  async _older(limit = PAGE) {
    const { signal } = this._aborter;
    if (this._reading === signal || !this._more || signal.aborted) return false;
    this._reading = signal;
    this._late = [];
    try {
      const before = this.timeline.oldest ?? this._edge;
      const page = await getMessages(this.sessionId, { before, limit }, signal);
      if (signal.aborted) return false;
      this._more = page.has_more;
      this._note.hidden = true;
      this.timeline.addOlder(page.messages);
      for (const { event, data } of this._late) this.timeline.change(event, data);
      this._drawPending();
      for (const message of page.messages) this._presence.count(message.timestamp);
      this._newest = Math.max(this._newest, page.messages.at(-1)?.id ?? 0);
      const first = this._newest ? "The beginning of this session" : "No messages yet";
      this.timeline.setTop(this._more ? "Loading older messages…" : first, this._more);
      this._saw();
      return true;
    } catch (error) {
      return signal.aborted ? false : this._notRead(error);
    } finally {
      if (this._reading === signal) this._reading = null;
    }
  }

  _notRead(error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.status === 404) this._more = false;
    this.timeline.setTop(error.status === 404 ? "No messages yet" : "", false);
    if (error.status === 404) return false;
    this._say(`Older messages could not be read: ${error.message}`);
    this._again = setTimeout(() => this._older(), 3000);
    return false;
  }

  _hear(event, detail) {
    if (LOGGED.has(event)) {
      this._queue.push({ event, ...detail });
      this._soon();
    } else if (event === "external") this.timeline.addExternal(detail);
    else if (event === "presence") this._presence.update(detail.data);
    else if (event === "reload") {
      this._queue = [];
      this._load();
    }
  }

  /** Draw what is new once per animation frame; a timer replaces it where no frames are drawn. */
  _soon() {
    if (this._due) return;
    const draw = () => {
      clearTimeout(this._due.timer);
      cancelAnimationFrame(this._due.frame);
      this._due = null;
      this._flush();
    };
    this._due = { timer: setTimeout(draw, 30), frame: requestAnimationFrame(draw) };
  }

  /**
   * Draw what has arrived. It waits until the newest messages are loaded: a change may be of one
   * of them, or of a message that waits too.
   */
  _flush() {
    if (!this._ready || !this._queue.length || this._aborter.signal.aborted) return;
    const events = this._queue;
    this._queue = [];
    this._newest = Math.max(this._newest, events.at(-1).position);
    let messages = [];
    for (const { event, data } of events) {
      if (event === "message") {
        messages.push(data);
        this._arrived(data);
        continue;
      }
      this.timeline.addLive(messages);
      messages = [];
      this._change(event, data);
    }
    this.timeline.addLive(messages);
  }

  _arrived(message) {
    this._outbox.arrived(message, this._who.name);
    this._presence.count(message.timestamp);
    if (message.sender !== this._who.name)
      announce(`${message.sender}: ${written(message.content.slice(0, 120))}`);
  }

  _change(event, data) {
    if (this._reading) this._late.push({ event, data });
    this.timeline.change(event, data);
    this._saw();
  }

  async _react({ id }, reaction, remove) {
    try {
      await react(this.sessionId, id, reaction, remove);
      this._change("reacted", { id, sender: this._who.name, reaction, removed: remove });
    } catch (error) {
      this._say([error.message, error.next].filter(Boolean).join(" "));
    }
  }

  _saw() {
    if (document.hidden || !this.timeline?.atBottom) return;
    this._directory.saw(this.sessionId, this._newest);
    this._receipts?.read(this._newest);
  }

  _send(message) {
    this._outbox.add(message);
    this.timeline.toBottom();
  }

  _drawPending() {
    const items = this._outbox?.items ?? [];
    const actions = {
      onRetry: (item) => this._outbox.retry(item),
      onDiscard: (item) => this._outbox.discard(item),
      onEdit: (item) => (this._composer?.edit(item), this._outbox.discard(item)),
    };
    const here = items.find((item) => item.id && this.timeline.has(item.id));
    if (here) return this._outbox.discard(here); // it calls this again for the rest
    this.timeline?.pending.replaceChildren(
      ...items.map((item) => pendingView(item, this._who.name, actions)),
    );
  }

  _say(text) {
    this._note.textContent = text;
    this._note.hidden = false;
  }
}
