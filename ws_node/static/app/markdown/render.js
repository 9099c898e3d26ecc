/** Renders Markdown as DOM nodes. Text of participants becomes text nodes only. */

import { copyButton } from "../ui/copying.js";
import { h } from "../ui/dom.js";
import { shown } from "../ui/hidden.js";
import { withMentions } from "../ui/mention.js";
import { blocks } from "./blocks.js";
import { inline } from "./inline.js";
import { safe } from "./links.js";

/** The nodes of a text. */
export function markdown(text) {
  return blocks(text).map(block);
}

function block(node) {
  switch (node.type) {
    case "heading": // no heading element: it would break the outline of the page
      return h("p", { class: `heading level-${node.level}` }, spans(inline(node.text)));
    case "code":
      return code(node);
    case "quote":
      return h("blockquote", {}, node.blocks.map(block));
    case "list":
      return list(node);
    case "table":
      return table(node);
    case "rule":
      return h("hr");
    default:
      return h("p", { dir: "auto" }, spans(inline(node.text)));
  }
}

function code({ language, text }) {
  const bar = h(
    "div",
    { class: "code-bar" },
    h("span", {}, shown(language)),
    copyButton(() => text, "Copy code"),
  );
  return h("div", { class: "code" }, bar, h("pre", { tabindex: "0" }, h("code", {}, shown(text))));
}

function list({ ordered, start, items }) {
  const rows = items.map((item) => {
    const only = item.length === 1 && item[0].type === "paragraph";
    return only ? h("li", { dir: "auto" }, task(item[0].text)) : h("li", {}, item.map(block));
  });
  return ordered ? h("ol", { start: start === 1 ? null : start }, rows) : h("ul", {}, rows);
}

function task(text) {
  const box = /^\[([ xX])\] /.exec(text);
  if (!box) return spans(inline(text));
  const done = box[1] !== " ";
  return [
    h(
      "span",
      { class: "task", role: "img", "aria-label": done ? "done" : "to do" },
      done ? "☑" : "☐",
    ),
    " ",
    ...spans(inline(text.slice(4))),
  ];
}

function table({ align, head, rows }) {
  const cell = (tag) => (text, column) =>
    h(tag, { class: `align-${align[column] ?? "start"}` }, spans(inline(text)));
  return h(
    "div",
    { class: "table", tabindex: "0" },
    h(
      "table",
      {},
      h("thead", {}, h("tr", {}, head.map(cell("th")))),
      h(
        "tbody",
        {},
        rows.map((row) => h("tr", {}, row.map(cell("td")))),
      ),
    ),
  );
}

function spans(nodes) {
  return nodes.flatMap((node) => {
    switch (node.type) {
      case "text":
        return withMentions(node.text);
      case "code":
        return h("code", {}, shown(node.text));
      case "break":
        return h("br");
      case "link":
        return link(node);
      default:
        return h(node.type, {}, spans(node.nodes));
    }
  });
}

function link({ address, nodes, image }) {
  const target = safe(address);
  const label = spans(nodes);
  if (!target)
    return [
      ...(image ? ["image: "] : []),
      ...label,
      ...(same(nodes, address) ? [] : [" (", ...shown(address), ")"]),
    ];
  const anchor = h(
    "a",
    { href: target.href, target: "_blank", rel: "noopener noreferrer", title: target.href },
    image ? "image: " : null,
    label,
  );
  const plain = same(nodes, address) && says(address, target.host);
  return plain ? anchor : [anchor, h("span", { class: "host" }, ` (${target.host})`)];
}

/** Whether an address shows the host that the browser will connect to. */
function says(address, host) {
  const [, named] = /^https?:\/\/([^/?#]*)/i.exec(address) ?? [];
  return named?.toLowerCase() === host;
}

/** Whether the label is the address itself. */
function same(nodes, address) {
  return nodes.length === 1 && nodes[0].type === "text" && nodes[0].text === address;
}
