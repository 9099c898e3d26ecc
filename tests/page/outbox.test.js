// The outbox: one message after another, whatever becomes of those before it.

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { asked, kept } from "./origin.js";
import { Outbox } from "../../ws_node/static/app/net/outbox.js";

const contents = () => asked.map(({ content }) => content);
const settled = () => new Promise((resolve) => setTimeout(resolve, 10));
const refused = { error: { code: "INVALID_INPUT", message: "no" } };
const full = { error: { code: "OVERLOADED", message: "later" } };
let outbox;

function say(...texts) {
  return texts.map((content) => outbox.add({ content, visibility: "public", parent: null }));
}

beforeEach(() => {
  outbox?.close();
  kept.clear();
  asked.length = 0;
  outbox = new Outbox("room", () => {});
});

test("messages are sent in the order in which they were written", async () => {
  say("one", "two", "three");
  await settled();
  assert.deepEqual(contents(), ["one"]);
  asked[0].answer(201, { message_id: 1 });
  await settled();
  assert.deepEqual(contents(), ["one", "two"]);
  asked[1].answer(422, refused);
  await settled();
  assert.deepEqual(contents(), ["one", "two", "three"]);
  asked[2].answer(201, { message_id: 2 });
  await settled();
  assert.deepEqual(
    outbox.items.map(({ status }) => status),
    ["sent", "failed", "sent"],
  );
});

test("what waits for a retry keeps the rest back, until it is discarded", async () => {
  const [one] = say("one", "two");
  await settled();
  asked[0].answer(503, full);
  await settled();
  assert.equal(one.status, "waiting");
  assert.deepEqual(contents(), ["one"]);
  outbox.discard(one);
  await settled();
  assert.deepEqual(contents(), ["one", "two"]);
});

test("one that comes live before its answer lets the next go once it is answered", async () => {
  const [one] = say("one", "two");
  await settled();
  outbox.arrived({ id: 1, sender: "human", content: "one" }, "human");
  assert.ok(!outbox.items.includes(one));
  asked[0].answer(503, full);
  await settled();
  assert.deepEqual(contents(), ["one", "two"]);
});

test("what failed is sent again behind the others, and what is discarded never is", async () => {
  const [one, , three] = say("one", "two", "three");
  await settled();
  outbox.discard(three);
  asked[0].answer(422, refused);
  await settled();
  outbox.retry(one);
  asked[1].answer(201, { message_id: 2 });
  await settled();
  assert.deepEqual(contents(), ["one", "two", "one"]);
});
