// The pure parts of partyline.js, and what it does with frames.

import assert from "node:assert/strict";
import { test } from "node:test";

import { connect } from "../../ws_node/static/partyline.js";
import { waitSeconds } from "../../ws_node/static/partyline/backoff.js";
import { CatchUp, QUIET_MS } from "../../ws_node/static/partyline/catchup.js";
import { afterClose } from "../../ws_node/static/partyline/closing.js";
import { Track } from "../../ws_node/static/partyline/track.js";

test("the wait before a reconnect doubles, is bounded, and half of it is random", () => {
  const waits = [0, 1, 2, 3, 9, 99].map((n) => [waitSeconds(n, () => 0), waitSeconds(n, () => 1)]);
  assert.deepEqual(waits, [
    [0.25, 0.5],
    [0.5, 1],
    [1, 2],
    [2, 4],
    [7.5, 15],
    [7.5, 15],
  ]);
});

test("close codes mean what docs/websocket.md says", () => {
  const lost = [1000, 1006, 4000, 4003, 4499].map(afterClose);
  assert.deepEqual(lost, Array(5).fill("reconnect"));
  assert.deepEqual([4500, 4501, 4503].map(afterClose), Array(3).fill("sign-in"));
  assert.deepEqual([4502, 4504, 4999].map(afterClose), Array(3).fill("closed"));
});

test("a position takes each message once", () => {
  const track = new Track();
  assert.deepEqual(track.command("s"), { type: "subscribe", session_id: "s" });
  assert.equal(track.subscribed({ epoch: "e", position: 5, recovered: true }), "started");
  const taken = [5, 6, 6, 9, 7, 10].map((position) => track.advance(position));
  assert.deepEqual(taken, [false, true, false, true, false, true]);
  const again = { type: "subscribe", session_id: "s", since: 10, epoch: "e" };
  assert.deepEqual(track.command("s"), again);
  assert.equal(track.subscribed({ epoch: "e", position: 10, recovered: true }), "resumed");
  assert.equal(track.subscribed({ epoch: "f", position: 3, recovered: false }), "reload");
  assert.deepEqual(track.command("s"), { ...again, since: 3, epoch: "f" });
});

test("messages that are on their way while presence is asked for come once", () => {
  const track = new Track({ since: 5, epoch: "e", presence: true });
  const expected = { type: "subscribe", session_id: "s", since: 5, epoch: "e", presence: true };
  assert.deepEqual(track.command("s"), expected);
  assert.ok(track.advance(6) && track.advance(7));
  assert.equal(track.subscribed({ epoch: "e", position: 5, recovered: true }), "resumed");
  assert.deepEqual(
    [6, 7, 8].map((position) => track.advance(position)),
    [false, false, true],
  );
});

test("catching up ends with silence or a fresh message", () => {
  const at = Date.parse("2026-11-24T10:00:00Z");
  const quiet = new CatchUp(at);
  quiet.received("2026-11-24T09:00:00Z", at + 100);
  assert.equal(quiet.messages, 1);
  assert.equal(quiet.over(at + 200), false);
  assert.equal(quiet.over(at + 100 + QUIET_MS), true);
  const fresh = new CatchUp(at);
  fresh.received("2026-11-24T09:59:59Z", at);
  assert.equal(fresh.over(at), true);
  const none = new CatchUp(at);
  assert.deepEqual([none.over(at + 4000), none.over(at + 6000)], [false, true]);
});

/** The other side of a connection: what it was sent, and what it says. */
class Socket {
  static opened = [];
  readyState = 1;
  sent = [];

  constructor(url, protocols) {
    Object.assign(this, { url, protocols });
    Socket.opened.push(this);
  }

  send(text) {
    this.sent.push(JSON.parse(text));
  }

  say(frame) {
    this.onmessage({ data: typeof frame === "string" ? frame : JSON.stringify(frame) });
  }

  close() {
    this.readyState = 3;
  }
}

test("frames become events, each message of the log once, and a lost line comes back", async () => {
  const line = connect("s", { url: "ws://h", token: "t", WebSocket: Socket });
  const heard = [];
  const hear = (event) => line.on(event, (detail) => heard.push([event, detail.position ?? null]));
  const events = ["message", "deleted", "edited", "reacted", "external", "reload", "error"];
  for (const event of events) hear(event);
  line.on("message", () => {
    line.close(); // and no listener is called after that
  });
  await null;
  const [socket] = Socket.opened;
  assert.deepEqual([socket.url, socket.protocols], ["ws://h/ws", ["partyline", "bearer.t"]]);
  socket.onopen();
  assert.deepEqual(socket.sent, [{ type: "subscribe", session_id: "s" }]);
  socket.say({ type: "subscribed", session_id: "s", epoch: "e", position: 4, recovered: true });
  socket.say("pong");
  socket.say({ type: "error", code: "C", message: "m" });
  socket.say({ type: "build", session_id: "s", origin: "external", data: {} });
  socket.say({ type: "new_message", session_id: "other", position: 5, data: {} });
  socket.say({ type: "message_deleted", session_id: "s", position: 5, data: { id: 1 } });
  socket.say({ type: "message_deleted", session_id: "s", position: 5, data: { id: 1 } });
  socket.onclose({ code: 1006, reason: "" });
  assert.equal(line.state.name, "reconnecting");
  line.nudge();
  const again = Socket.opened[1];
  again.onopen();
  assert.deepEqual(again.sent, [{ type: "subscribe", session_id: "s", since: 5, epoch: "e" }]);
  again.say({ type: "subscribed", session_id: "s", epoch: "f", position: 0, recovered: false });
  again.say({ type: "new_message", session_id: "s", position: 1, data: {} });
  assert.deepEqual(heard, [
    ["error", null],
    ["external", null],
    ["deleted", 5],
    ["reload", 0],
    ["message", 1],
  ]);
  assert.deepEqual([line.state.name, again.readyState], ["closed", 3]);
});

test("each change of a message is an event of its own, and unknown frames are none", async () => {
  const line = connect("s", { url: "ws://h", WebSocket: Socket });
  const heard = [];
  for (const event of ["message", "deleted", "edited", "reacted"])
    line.on(event, ({ position, data }) => heard.push([event, position, data.id]));
  await null;
  const socket = Socket.opened.at(-1);
  socket.onopen();
  socket.say({ type: "subscribed", session_id: "s", epoch: "e", position: 0, recovered: true });
  const types = ["new_message", "message_edited", "message_reacted", "poll", "message_deleted"];
  for (const [at, type] of [...types, "toString"].entries())
    socket.say({ type, session_id: "s", position: at + 1, data: { id: 1 } });
  assert.deepEqual(heard, [
    ["message", 1, 1],
    ["edited", 2, 1],
    ["reacted", 3, 1],
    ["deleted", 5, 1],
  ]);
  assert.equal(line.position("s").position, 6);
  line.close();
});
