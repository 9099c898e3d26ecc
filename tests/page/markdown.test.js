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

Object.assign(BLOCKS, {
  "# a #b ##": [{ type: "heading", level: 1, text: "a #b" }],
  "## a#": [{ type: "heading", level: 2, text: "a#" }],
  "### ###": [{ type: "heading", level: 3, text: "" }],
  "#a": [paragraph("#a")],
  "* * *": [{ type: "rule" }],
  "--- -x": [paragraph("--- -x")],
  "``` a`b": [paragraph("``` a`b")],
  "~~~ a`b c\nx\n~~~~ \ny": [{ type: "code", language: "a`b", text: "x" }, paragraph("y")],
  "````\n```\n```` x\n`````": [{ type: "code", language: "", text: "```\n```` x" }],
  "  ```\n   a\n b\n  ```": [{ type: "code", language: "", text: " a\nb" }],
  "a\u2028# b\u2029c\rd": [
    paragraph("a"),
    { type: "heading", level: 1, text: "b" },
    paragraph("c\nd"),
  ],
  "in\n1986. a year": [paragraph("in\n1986. a year")],
  "\ufeff": [paragraph("\ufeff")],
  "# a\ufeff": [{ type: "heading", level: 1, text: "a\ufeff" }],
});

const table = (align, head, rows) => ({ type: "table", align, head, rows });
const TABLES = {
  // as many delimiter cells as header cells, else none
  "|a|b|\n|-|": [paragraph("|a|b|\n|-|")],
  "|a|\n|-|-|": [paragraph("|a|\n|-|-|")],
  "|a|b|\n|-|x|": [paragraph("|a|b|\n|-|x|")],
  "|a\\|b|\n|-|": [table(["start"], ["a|b"], [])],
  "a | b\n:-: | ---": [table(["center", "start"], ["a", "b"], [])],
  // rows: cells too many are dropped, a line without bars is one, other blocks end the table
  "|a|b|\n|-|-|\n|1|2|3|\nx\n# h": [
    table(["start", "start"], ["a", "b"], [["1", "2"], ["x"]]),
    { type: "heading", level: 1, text: "h" },
  ],
  "text\n|a|\n|-|\n\nmore": [paragraph("text"), table(["start"], ["a"], []), paragraph("more")],
};

for (const [text, expected] of Object.entries({ ...BLOCKS, ...TABLES }))
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
  ["``a`b`` `c", [["code", "a`b"], " `c"]],
  ["`a``b`", [["code", "a``b"]]],
  ["`a``", ["`a``"]],
  ["*a* b*", [["em", "a"], " b*"]],
  [`${"*a ".repeat(60)}b*`, [["em", `${"*a ".repeat(60)}b`.slice(1)]]],
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
