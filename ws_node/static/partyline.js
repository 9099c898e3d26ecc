/**
 * Watch Partyline sessions live: a client of the WebSocket protocol in docs/websocket.md, for
 * browsers and any other runtime with WebSockets. It uses no DOM. See docs/javascript.md.
 *
 *     import { connect } from "./partyline.js";
 *     const line = connect("demo", { token, since: 0 });
 *     line.on("message", ({ sessionId, data }) => console.log(sessionId, data.content));
 */

import { waitSeconds } from "./partyline/backoff.js";
import { CatchUp, QUIET_MS } from "./partyline/catchup.js";
import { afterClose } from "./partyline/closing.js";
import { Track } from "./partyline/track.js";

const HANDSHAKE_MS = 10_000;
const IDLE_MS = 20_000;
const ANSWER_MS = 8_000;
const STEADY_MS = 5_000; // after so long a connection the back-off starts again

const EVENTS = [
  "message",
  "deleted",
  "edited",
  "reacted",
  "external",
  "presence",
  "subscribed",
  "reload",
  "state",
  "error",
];

/** The event of each frame with a position; frames of a later version are left out. */
const EVENT_OF = {
  new_message: "message",
  message_deleted: "deleted",
  message_edited: "edited",
  message_reacted: "reacted",
};

/**
 * Open a connection. It connects at once, and reconnects by itself until `close()`.
 *
 * @param {string|string[]} sessions ids to watch; `subscribe` adds more.
 * @param {object} options
 * @param {string} [options.url] of ws_node, `ws://host:port`; the page's origin by default.
 * @param {string} [options.token] of a principal; not needed with AUTH=off.
 * @param {number} [options.since] position after which the sessions start; by default, now.
 * @param {string} [options.epoch] of the log that the position belongs to.
 * @param {boolean} [options.presence] whether to receive presence events.
 * @param {typeof WebSocket} [options.WebSocket] for runtimes without a global one.
 */
export function connect(sessions, options = {}) {
  return new Line([sessions].flat(), options);
}

export class Line {
  constructor(
    sessions,
    { url, token, since, epoch, presence, WebSocket = globalThis.WebSocket } = {},
  ) {
    this._url = `${url ?? ownUrl()}/ws`;
    this._token = token;
    this._WebSocket = WebSocket;
    this._tracks = new Map(sessions.map((id) => [id, new Track({ since, epoch, presence })]));
    this._catching = new Map();
    this._listeners = new Map(EVENTS.map((event) => [event, new Set()]));
    this._attempt = 0;
    this._socket = null;
    this._timers = {};
    this.state = { name: "connecting" };
    queueMicrotask(() => this.state.name !== "closed" && this._open());
  }

  /** Call `listener` for each event of that name; returns a function that removes it. */
  on(event, listener) {
    const listeners = this._listeners.get(event);
    if (!listeners) throw new TypeError(`no such event: ${event}`);
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  /** Watch another session, or restart one: after `since` of `epoch`, or from now. */
  subscribe(sessionId, { since = null, epoch = null, presence = false } = {}) {
    this._tracks.set(sessionId, new Track({ since, epoch, presence }));
    this._start(sessionId);
  }

  /** Start or stop presence events of a watched session. */
  askPresence(sessionId, wanted) {
    const track = this._tracks.get(sessionId);
    if (!track || track.presence === wanted) return;
    track.presence = wanted;
    this._send({ ...track.command(sessionId), presence: wanted });
  }

  /** Stop watching a session. */
  unsubscribe(sessionId) {
    if (!this._tracks.delete(sessionId)) return;
    this._catching.delete(sessionId);
    this._send({ type: "unsubscribe", session_id: sessionId });
    this._settle();
  }

  /** The ids of the watched sessions. */
  get sessions() {
    return [...this._tracks.keys()];
  }

  /** `{epoch, position}` of a session, to resume from later; null if not known yet. */
  position(sessionId) {
    const track = this._tracks.get(sessionId);
    return track && track.position !== null
      ? { epoch: track.epoch, position: track.position }
      : null;
  }

  /** Reconnect now, or check the connection: call it when the network or the page is back. */
  nudge() {
    if (this.state.name === "reconnecting") this._open();
    else if (this._connected) this._ping();
  }

  /** Close the connection for good. No listener is called after that. */
  close() {
    this._drop();
    this._setState({ name: "closed", code: 1000, reason: "closed here" });
    for (const listeners of this._listeners.values()) listeners.clear();
  }

  get _connected() {
    return this._socket?.readyState === 1;
  }

  _open() {
    this._drop();
    this._setState({ name: "connecting" });
    const offers = ["partyline", ...(this._token ? [`bearer.${this._token}`] : [])];
    const socket = new this._WebSocket(this._url, offers);
    this._socket = socket;
    this._after("handshake", HANDSHAKE_MS, () => this._lost(1006, "no answer"));
    socket.onopen = () => {
      this._clear("handshake");
      this._openedAt = Date.now();
      for (const sessionId of this._tracks.keys()) this._start(sessionId);
      this._watch();
      this._settle();
    };
    socket.onmessage = ({ data }) => {
      this._watch();
      this._receive(data);
    };
    socket.onclose = ({ code, reason }) => this._lost(code, reason);
  }

  _start(sessionId) {
    this._send(this._tracks.get(sessionId).command(sessionId));
  }

  _receive(text) {
    let frame;
    try {
      frame = JSON.parse(text);
    } catch {
      return; // the text pong, or not a frame of the protocol
    }
    const { type, session_id: sessionId } = frame;
    if (type === "error") this._emit("error", { code: frame.code, message: frame.message });
    const track = this._tracks.get(sessionId);
    if (!track) return;
    if (type === "subscribed") this._subscribed(sessionId, track, frame);
    else if (type === "presence") this._emit("presence", { sessionId, data: frame.data });
    else if (frame.origin === "external")
      this._emit("external", { sessionId, type, data: frame.data });
    else if (typeof frame.position === "number" && track.advance(frame.position)) {
      this._catching.get(sessionId)?.received(frame.data.timestamp, Date.now());
      const event = Object.hasOwn(EVENT_OF, type) ? EVENT_OF[type] : null;
      const detail = { sessionId, position: frame.position, type, data: frame.data };
      if (event) this._emit(event, detail);
      this._settle();
    }
  }

  _subscribed(sessionId, track, { epoch, position, recovered }) {
    const word = track.subscribed({ epoch, position, recovered });
    if (word === "resumed") this._catching.set(sessionId, new CatchUp(Date.now()));
    const where = { sessionId, epoch, position };
    this._emit(word === "reload" ? "reload" : "subscribed", { ...where, recovered });
    this._settle();
  }

  /** Set the state to live or catching up; check again later while it is catching up. */
  _settle() {
    if (!this._connected) return;
    let messages = 0;
    const now = Date.now();
    for (const [sessionId, catching] of this._catching) {
      if (catching.over(now)) this._catching.delete(sessionId);
      else messages += catching.messages;
    }
    this._setState(messages ? { name: "catching-up", messages } : { name: "live" });
    if (this._catching.size && !this._timers.settle)
      this._after("settle", QUIET_MS, () => this._settle());
  }

  /** Ping after a while without a frame: any frame shows that the connection works. */
  _watch() {
    this._after("watch", IDLE_MS, () => this._ping());
  }

  _ping() {
    this._send({ type: "ping" });
    this._after("watch", ANSWER_MS, () => this._lost(1006, "silence"));
  }

  _lost(code, reason) {
    if (Date.now() - (this._openedAt ?? Infinity) > STEADY_MS) this._attempt = 0;
    this._drop();
    const next = afterClose(code);
    if (next !== "reconnect") {
      this._setState({ name: next, code, reason });
      return;
    }
    const seconds = waitSeconds(this._attempt);
    this._attempt += 1;
    const at = Date.now() + seconds * 1000;
    this._setState({ name: "reconnecting", seconds, at, code, reason });
    this._after("retry", seconds * 1000, () => this._open());
  }

  _drop() {
    for (const name of Object.keys(this._timers)) this._clear(name);
    this._catching.clear();
    this._openedAt = undefined;
    const socket = this._socket;
    this._socket = null;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }

  _send(command) {
    if (this._connected) this._socket.send(JSON.stringify(command));
  }

  _setState(state) {
    const same = state.name === this.state.name && state.messages === this.state.messages;
    this.state = state;
    if (!same) this._emit("state", state);
  }

  _emit(event, detail) {
    for (const listener of [...this._listeners.get(event)]) {
      try {
        listener(detail);
      } catch (error) {
        queueMicrotask(() => {
          throw error; // reported as uncaught, without ending this connection
        });
      }
    }
  }

  _after(name, ms, work) {
    this._clear(name);
    this._timers[name] = setTimeout(() => {
      delete this._timers[name];
      work();
    }, ms);
  }

  _clear(name) {
    clearTimeout(this._timers[name]);
    delete this._timers[name];
  }
}

function ownUrl() {
  return globalThis.location.origin.replace(/^http/, "ws");
}
