/**
 * Markdown as blocks. Pure. What is no Markdown stays text: HTML too.
 *
 * Blocks: {type: paragraph, text}, {type: heading, level, text}, {type: code, language, text},
 * {type: quote, blocks}, {type: list, ordered, start, items: [blocks]},
 * {type: table, align, head: [text], rows: [[text]]}, {type: rule}.
 */

const MAX_DEPTH = 8;
const FENCE = /^ {0,3}(`{3,}|~{3,})\s*([^`\s]{0,40})[^`]*$/;
const HEADING = /^ {0,3}(#{1,6})(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*$/;
const RULE = /^ {0,3}([-*_])[ \t]*(?:\1[ \t]*){2,}$/;
const ITEM = /^( {0,3})([-*+]|\d{1,9}[.)])([ \t]+)(?=\S)/;
const QUOTE = /^ {0,3}> ?/;
const DIVIDER = /^ {0,3}\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*){0,64}\|?[ \t]*$/;

export function blocks(text, depth = 0) {
  return new Reader(text.split(/\r\n|\r|\n/), depth).all();
}

class Reader {
  constructor(lines, depth) {
    this.lines = lines;
    this.depth = depth;
    this.at = 0;
    this.out = [];
  }

  all() {
    while (this.at < this.lines.length) {
      const line = this.lines[this.at];
      if (!line.trim()) this.at += 1;
      else this._block(line);
    }
    return this.out;
  }

  _block(line) {
    const nested = this.depth < MAX_DEPTH;
    const fence = FENCE.exec(line);
    const heading = HEADING.exec(line);
    if (fence) this._code(fence);
    else if (heading)
      this._push({ type: "heading", level: heading[1].length, text: heading[2] ?? "" });
    else if (RULE.test(line)) this._push({ type: "rule" });
    else if (nested && QUOTE.test(line)) this._quote();
    else if (nested && ITEM.test(line)) this._list();
    else if (line.includes("|") && DIVIDER.test(this.lines[this.at + 1] ?? "")) this._table();
    else this._paragraph();
  }

  _push(block) {
    this.out.push(block);
    this.at += 1;
  }

  _code([, fence, language]) {
    const close = new RegExp(`^ {0,3}${fence[0]}{${fence.length},}[ \\t]*$`);
    const begin = this.at + 1;
    let end = begin;
    while (end < this.lines.length && !close.test(this.lines[end])) end += 1;
    this.out.push({ type: "code", language, text: this.lines.slice(begin, end).join("\n") });
    this.at = end + 1;
  }

  _quote() {
    const inner = [];
    while (this.at < this.lines.length && QUOTE.test(this.lines[this.at])) {
      inner.push(this.lines[this.at].replace(QUOTE, ""));
      this.at += 1;
    }
    this.out.push({ type: "quote", blocks: new Reader(inner, this.depth + 1).all() });
  }

  _list() {
    const first = ITEM.exec(this.lines[this.at]);
    const kind = first[2].at(-1);
    const ordered = /\d/.test(first[2]);
    const items = [];
    for (let item = first; item && item[2].at(-1) === kind && !RULE.test(this.lines[this.at]);) {
      items.push(new Reader(this._item(item), this.depth + 1).all());
      item = ITEM.exec(this.lines[this.at] ?? "");
    }
    if (!items.length) return this._paragraph();
    this.out.push({ type: "list", ordered, start: ordered ? parseInt(first[2], 10) : 1, items });
  }

  /** The lines of one item, without their indentation; leaves `at` at what follows it. */
  _item(item) {
    const indent =
      item[0].length > item[1].length + item[2].length + 4
        ? item[1].length + item[2].length + 1
        : item[0].length;
    const inner = [this.lines[this.at].slice(indent)];
    let blank = false;
    for (this.at += 1; this.at < this.lines.length; this.at += 1) {
      const line = this.lines[this.at];
      const inside = line.length - line.trimStart().length >= Math.min(indent, 2);
      if (!line.trim()) {
        blank = true;
        inner.push("");
      } else if (inside) {
        const margin = Math.min(indent, line.length - line.trimStart().length);
        inner.push(line.slice(margin));
        blank = false;
      } else if (blank || this._starts(line)) break;
      else inner.push(line);
    }
    return inner;
  }

  _table() {
    const align = cells(this.lines[this.at + 1]).map((c) =>
      c.endsWith(":") ? (c.startsWith(":") ? "center" : "end") : "start",
    );
    const head = cells(this.lines[this.at]);
    const rows = [];
    for (
      this.at += 2;
      this.at < this.lines.length && this.lines[this.at].includes("|");
      this.at += 1
    )
      rows.push(cells(this.lines[this.at]));
    this.out.push({ type: "table", align, head, rows });
  }

  _paragraph() {
    const begin = this.at;
    for (this.at += 1; this.at < this.lines.length; this.at += 1) {
      const line = this.lines[this.at];
      if (!line.trim() || this._starts(line)) break;
    }
    const text = this.lines.slice(begin, this.at).join("\n");
    this.out.push({ type: "paragraph", text });
  }

  /** Whether a line ends the paragraph before it. */
  _starts(line) {
    if (FENCE.test(line) || HEADING.test(line) || RULE.test(line)) return true;
    return this.depth < MAX_DEPTH && (QUOTE.test(line) || ITEM.test(line));
  }
}

function cells(line) {
  return line
    .trim()
    .replace(/^\||(?<!\\)\|$/g, "")
    .split(/(?<!\\)\|/)
    .slice(0, 64)
    .map((cell) => cell.trim().replaceAll("\\|", "|"));
}
