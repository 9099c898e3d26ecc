/** The messages of a session on the page: their placement, and scrolling. */

import { Chunks } from "../ui/chunks.js";
import { Conversation } from "../model/conversation.js";
import { h } from "../ui/dom.js";
import { icon } from "../ui/icons.js";
import {
  externalView,
  messageView,
  pointerView,
  redraw,
  redrawReactions,
  requote,
} from "./message_view.js";
import { changed } from "../model/changes.js";
import { beginsDay } from "../model/days.js";
import { daySeparator } from "../ui/time.js";

const GROUP_MS = 5 * 60_000;
const NEAR_PX = 60;
const MOST_TOPS = 3000;
const KEPT_TOPS = 2000;

export class Timeline {
  /**
   * @param {object} context
   * @param {string} context.sessionId
   * @param {string} context.me the viewer's own name
   * @param {((message) => void)|null} context.onReply
   * @param {((message, reaction, remove: boolean) => void)|null} context.onReact
   * @param {() => void} context.onOlder the top is near: older messages are to be loaded
   * @param {() => void} context.onSeen the newest is in view
   * @param {() => void} context.onTrimmed the oldest were removed: there are older ones to load
   */
  constructor(context) {
    this.context = context;
    this.conversation = new Conversation();
    this._elements = new Map();
    this._fresh = 0;
    this._stuck = true;
    this._top = h("div", { class: "older" });
    this._chunks = new Chunks();
    this.list = this._chunks.element;
    this.pending = h("ol", { class: "messages pending-list", "aria-label": "Not sent yet" });
    this.scroller = h(
      "div",
      { class: "scroller", tabindex: "0", role: "region", "aria-label": "Conversation" },
      this._top,
      this.list,
      this.pending,
    );
    this._pill = h("button", {
      type: "button",
      class: "pill",
      hidden: true,
      onclick: () => this.toBottom(),
    });
    this.element = h("div", { class: "timeline" }, this.scroller, this._pill);
    this.scroller.addEventListener("scroll", () => this._scrolled(), { passive: true });
    this._sizes = new ResizeObserver(() => this._stuck && this._down());
    for (const part of [this.scroller, this.list, this.pending]) this._sizes.observe(part);
    this._watcher = new IntersectionObserver(
      (seen) => seen.some((one) => one.isIntersecting) && this.context.onOlder(),
      { root: this.scroller, rootMargin: "600px 0px 0px 0px" },
    );
  }

  get oldest() {
    return this.conversation.tops.length ? this._lowest() : null;
  }

  get atBottom() {
    return this._stuck;
  }

  /** Set the text above the oldest message; with `more`, `onOlder` is called when it is near. */
  setTop(text, more) {
    this._top.textContent = text;
    this._watcher.unobserve(this._top);
    if (more) this._watcher.observe(this._top);
  }

  /** Add older messages without moving what is in view. */
  addOlder(messages) {
    const anchor = this._firstInView();
    const before = anchor?.getBoundingClientRect().top;
    for (const message of messages) this._add(message, false);
    if (this._stuck) this._down();
    else if (anchor) this.scroller.scrollTop += anchor.getBoundingClientRect().top - before;
  }

  /** Add live messages. */
  addLive(messages) {
    let fresh = 0;
    for (const message of messages) if (this._add(message, true)) fresh += 1;
    this._trim();
    this._arrived(fresh);
  }

  addExternal(event) {
    this._chunks.append(externalView(event));
    this._arrived(1);
  }

  /** Show what an event of the live protocol ("deleted", "edited", "reacted") changed. */
  change(event, data) {
    const entry = this.conversation.entry(data.id);
    const message = entry && changed(entry.message, event, data);
    if (!entry || message === entry.message) return;
    entry.message = message;
    const element = this._elements.get(data.id);
    if (event === "reacted") redrawReactions(element, message, this.context);
    else {
      redraw(element, message, this._surroundings(message));
      this._regroup(entry);
      this._requote(entry);
    }
    if (this._stuck) this._down();
  }

  has(id) {
    return this._elements.has(id);
  }

  /** Scroll to a message and focus it; false if it is not loaded. */
  show(id) {
    const element = this._elements.get(id);
    if (!element) return false;
    this._stuck = false;
    element.scrollIntoView({ block: "center" });
    element.focus({ preventScroll: true });
    element.classList.add("shown");
    setTimeout(() => element.classList.remove("shown"), 2500);
    return true;
  }

  toBottom() {
    this._stuck = true;
    this._down();
    this._scrolled();
  }

  clear() {
    this.conversation = new Conversation();
    this._elements.clear();
    this._chunks.clear();
    this._stuck = true;
    this._fresh = 0;
    this._scrolled();
  }

  close() {
    this._sizes.disconnect();
    this._watcher.disconnect();
  }

  _add(message, live) {
    const added = this.conversation.add(message);
    if (!added) return false;
    const { entry, adopted } = added;
    const element = messageView(message, this._surroundings(message));
    this._elements.set(entry.id, element);
    // In this order the entry after each one has its place already.
    for (const one of [...adopted.reverse(), entry]) this._place(one);
    for (const one of adopted) this._regroup(this.conversation.topAfter(one.id)); // it left there
    if (live && entry.thread !== entry && this.conversation.tops.at(-1) !== entry.thread)
      this._point(entry);
    return true;
  }

  _surroundings(message) {
    const parent = this.conversation.entry(message.parent_message_id)?.message;
    return { ...this.context, parent };
  }

  /** Replies quote the text of a message as it is now. */
  _requote(entry) {
    for (const { id, message } of entry.thread.replies)
      if (message.parent_message_id === entry.id)
        requote(this._elements.get(id), message, this._surroundings(message));
  }

  _place(entry) {
    const element = this._elements.get(entry.id);
    const next = this.conversation.after(entry);
    const beside = next ? this._elements.get(next.id) : null;
    if (entry.thread === entry) this._chunks.insert(element, beside);
    else this._replies(entry.thread).insertBefore(element, beside);
    const behind = entry.thread === entry ? null : this.conversation.after(entry.thread);
    for (const one of [entry, next, behind]) this._regroup(one);
  }

  _replies(top) {
    const element = this._elements.get(top.id);
    let row = element.querySelector(":scope > .replies");
    if (!row)
      element.append(
        (row = h("ol", { class: "replies", "aria-label": `Replies to message ${top.id}` })),
      );
    return row;
  }

  /** Draw again how an entry stands to the one before it. */
  _regroup(entry) {
    const element = entry && this._elements.get(entry.id);
    if (!element) return;
    this._group(entry, element);
    this._separate(entry, element);
  }

  /** A message soon after one of the same sender is shown without name and avatar. */
  _group(entry, element) {
    const before = this.conversation.before(entry)?.message;
    const { message } = entry;
    const follows =
      before &&
      !beginsDay(message, before) &&
      this._chunks.adjacent(this._elements.get(before.id), element) &&
      before.sender === message.sender &&
      before.sender_type === message.sender_type &&
      before.visibility === message.visibility &&
      !message.hidden_characters &&
      !this.conversation.before(entry).replies.length &&
      Date.parse(message.timestamp) - Date.parse(before.timestamp) < GROUP_MS;
    element.classList.toggle("follows", Boolean(follows));
  }

  /** A message that begins a day, in the session or in its thread, has a separator before it. */
  _separate(entry, element) {
    const above = entry.thread === entry ? null : entry.thread;
    const before = this.conversation.before(entry) ?? above;
    const begins = beginsDay(entry.message, before?.message);
    if (begins === element.classList.contains("new-day")) return;
    element.classList.toggle("new-day", begins);
    if (begins) element.prepend(daySeparator(entry.message.timestamp));
    else element.querySelector(":scope > .day").remove();
  }

  /** Add one line at the end that points to a reply further up. */
  _point(entry) {
    this._chunks.append(pointerView(entry.message, () => this.show(entry.id)));
  }

  _trim() {
    if (!this._stuck || this.conversation.tops.length <= MOST_TOPS) return;
    for (const top of this.conversation.trim(KEPT_TOPS)) {
      for (const entry of [top, ...top.replies]) {
        this._elements.get(entry.id)?.remove();
        this._elements.delete(entry.id);
      }
    }
    this._chunks.tidy();
    this.context.onTrimmed();
    this.setTop("Older messages", true);
  }

  _lowest() {
    return this.conversation.tops[0].id;
  }

  _firstInView() {
    const top = this.scroller.getBoundingClientRect().top;
    return this._chunks.firstBelow(top);
  }

  _arrived(count) {
    if (!count) return;
    if (this._stuck) {
      this._down();
      this.context.onSeen();
      return;
    }
    this._fresh += count;
    this._showPill();
  }

  _scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.scroller;
    this._stuck = scrollHeight - scrollTop - clientHeight < NEAR_PX;
    if (this._stuck) {
      this._fresh = 0;
      this.context.onSeen();
    }
    this._showPill();
  }

  _showPill() {
    this._pill.hidden = this._stuck;
    this._pill.replaceChildren(icon("down"), this._fresh ? `${this._fresh} new` : "To the newest");
    this._pill.classList.toggle("fresh", this._fresh > 0);
  }

  _down() {
    this.scroller.scrollTop = this.scroller.scrollHeight;
  }
}
