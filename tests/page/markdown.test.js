// Markdown as values: blocks, what is inside a line, and which addresses become links.

import assert from "node:assert/strict";
import { test } from "node:test";

import { blocks } from "../../ws_node/static/app/markdown/blocks.js";
import { inline } from "../../ws_node/static/app/markdown/inline.js";
import { safe } from "../../ws_node/static/app/markdown/links.js";

const paragraph = (text) => ({ type: "paragraph", text });

const BLOCKS = {
  "# Title": [{ type: "heading", level: 1, text: "Title" }],
  "a\nb": [paragraph("a\nb")],
  "```py\n*x*": [{ type: "code", language: "py", text: "*x*" }],
  "---": [{ type: "rule" }],
  "<b>x</b>": [paragraph("<b>x</b>")],
  "> a\n> b": [{ type: "quote", blocks: [paragraph("a\nb")] }],
  "2. a\n3. b": [
    { type: "list", ordered: true, start: 2, items: [[paragraph("a")], [paragraph("b")]] },
  ],
  "|a|b|\n|-|-:|\n|1|2|": [
    { type: "table", align: ["start", "end"], head: ["a", "b"], rows: [["1", "2"]] },
  ],
};

for (const [text, expected] of Object.entries(BLOCKS))
  test(`as blocks: ${JSON.stringify(text)}`, () => assert.deepEqual(blocks(text), expected));

const INLINE = [
  ["a *b* c", ["a ", ["em", "b"], " c"]],
  ["**b *c* d**", [["strong", "b ", ["em", "c"], " d"]]],
  ["2 * 3 * 4", ["2 * 3 * 4"]],
  ["snake_case_name", ["snake_case_name"]],
  ["`*a*`", [["code", "*a*"]]],
  ["\\*a\\*", ["*a*"]],
  ["[a](https://x.example)", [["link", "a"]]],
  ["see https://x.example/a. Then", ["see ", ["link", "https://x.example/a"], ". Then"]],
  ["[https://a.example](https://b.example)", [["link", "https://a.example"]]],
  ["*never closed", ["*never closed"]],
];

const flat = (node) => {
  if (node.type === "text") return node.text;
  return [node.type, ...(node.nodes ? node.nodes.map(flat) : [node.text])];
};

for (const [text, expected] of INLINE)
  test(`inside a line: ${JSON.stringify(text)}`, () =>
    assert.deepEqual(inline(text).map(flat), expected));

const ADDRESSES = {
  "https://a.example/x?y#z": "a.example",
  "http://a.example:8080": "a.example:8080",
  "mailto:a@b.example": "a@b.example",
  "javascript:alert(1)": null,
  " https://a.example": null,
  "//a.example": null,
  "/here": null,
  "https://user@a.example": null,
  "https://": null,
  "data:text/html,x": null,
  "ht\ntps://a.example": null,
};

test("only some addresses become links", () => {
  for (const [address, host] of Object.entries(ADDRESSES))
    assert.equal(safe(address)?.host ?? null, host, address);
});
