/**
 * Parses Markdown into blocks. Pure; time is linear in the text. HTML is text, like everything else
 * that is not Markdown.
 *
 * Blocks: {type: paragraph, text}, {type: heading, level, text}, {type: code, language, text},
 * {type: quote, blocks}, {type: list, ordered, start, items: [blocks]},
 * {type: table, align, head: [text], rows: [[text]]}, {type: rule}.
 */

import { indentation, isBlank, isEmpty, lines, trimmed } from "./lines.js";
import { tableHead, tableRow } from "./table.js";

const MAX_DEPTH = 8;
const MOST_LANGUAGE = 40;
// Each pattern matches only the beginning of a line; code reads the rest. A pattern for a whole
// line could backtrack over a run of blanks in quadratic time.
const FENCE = /^ {0,3}(`{3,}|~{3,})/;
const HEADING = /^ {0,3}(#{1,6})(?=[ \t]|$)/;
const RULE = /^ {0,3}([-*_])/;
const ITEM = /^( {0,3})([-*+]|\d{1,9}[.)])([ \t]+)(?=[^ \t])/;
const QUOTE = /^ {0,3}> ?/;

export function blocks(text) {
  return new Reader(lines(text), 0).all();
}

class Reader {
  constructor(source, depth) {
    this.lines = source;
    this.nests = depth < MAX_DEPTH;
    this.depth = depth;
    this.at = 0;
    this.out = [];
  }

  all() {
    while (this.at < this.lines.length) {
      if (isEmpty(this.lines[this.at])) this.at += 1;
      else this._block(this.lines[this.at]);
    }
    return this.out;
  }

  _block(line) {
    const opened = fence(line);
    if (opened) return this._code(opened);
    const title = heading(line);
    if (title) return this._push(title);
    if (isRule(line)) return this._push({ type: "rule" });
    if (this.nests && QUOTE.test(line)) return this._quote();
    const item = this.nests && ITEM.exec(line);
    if (item) return this._list(item);
    const table = tableHead(line, this.lines[this.at + 1]);
    if (table) return this._table(table);
    this._paragraph();
  }

  _push(block) {
    this.out.push(block);
    this.at += 1;
  }

  _code({ mark, length, margin, language }) {
    const inner = [];
    for (this.at += 1; this.at < this.lines.length; this.at += 1) {
      const line = this.lines[this.at];
      if (closes(line, mark, length)) break;
      inner.push(line.slice(Math.min(margin, indentation(line))));
    }
    this.at += 1;
    this.out.push({ type: "code", language, text: inner.join("\n") });
  }

  _quote() {
    const inner = [];
    for (; this.at < this.lines.length && QUOTE.test(this.lines[this.at]); this.at += 1)
      inner.push(this.lines[this.at].replace(QUOTE, ""));
    this.out.push({ type: "quote", blocks: new Reader(inner, this.depth + 1).all() });
  }

  _list(first) {
    const kind = first[2].at(-1);
    const ordered = kind === "." || kind === ")";
    const items = [];
    for (let item = first; item && item[2].at(-1) === kind;) {
      items.push(new Reader(this._item(item), this.depth + 1).all());
      const line = this.lines[this.at] ?? "";
      item = isRule(line) ? null : ITEM.exec(line);
    }
    this.out.push({ type: "list", ordered, start: ordered ? parseInt(first[2], 10) : 1, items });
  }

  /** The lines of one item, without their indentation; leaves `at` at the line after it. */
  _item([all, margin, marker, blanks]) {
    const indent = blanks.length > 4 ? margin.length + marker.length + 1 : all.length;
    const inner = [this.lines[this.at].slice(indent)];
    let blank = false;
    for (this.at += 1; this.at < this.lines.length; this.at += 1) {
      const line = this.lines[this.at];
      const indented = indentation(line);
      if (indented === line.length) {
        blank = true;
        inner.push("");
      } else if (indented >= Math.min(indent, 2)) {
        inner.push(line.slice(Math.min(indent, indented)));
        blank = false;
      } else if (blank || this._starts(line, true)) break;
      else inner.push(line);
    }
    return inner;
  }

  _table({ align, head }) {
    const rows = [];
    for (this.at += 2; this.at < this.lines.length; this.at += 1) {
      const line = this.lines[this.at];
      if (isEmpty(line) || this._starts(line, true)) break;
      rows.push(tableRow(line, head.length));
    }
    this.out.push({ type: "table", align, head, rows });
  }

  _paragraph() {
    const begin = this.at;
    for (this.at += 1; this.at < this.lines.length; this.at += 1) {
      const line = this.lines[this.at];
      if (isEmpty(line) || this._starts(line, false)) break;
      if (tableHead(line, this.lines[this.at + 1])) break;
    }
    this.out.push({ type: "paragraph", text: this.lines.slice(begin, this.at).join("\n") });
  }

  /**
   * Whether a line begins another block and so ends the current one. With `anyNumber` false, as in
   * a paragraph, an ordered list must begin with 1: a year at the start of a line is not a list.
   */
  _starts(line, anyNumber) {
    if (fence(line) || heading(line) || isRule(line)) return true;
    if (!this.nests) return false;
    if (QUOTE.test(line)) return true;
    const item = ITEM.exec(line);
    return item !== null && (anyNumber || !/^\d/.test(item[2]) || parseInt(item[2], 10) === 1);
  }
}

/** `{mark, length, margin, language}` if a line opens a code block; else null. */
function fence(line) {
  const found = FENCE.exec(line);
  if (!found) return null;
  const info = trimmed(line.slice(found[0].length));
  const [mark] = found[1];
  if (mark === "`" && info.includes("`")) return null;
  const language = info.split(/[ \t]/, 1)[0].slice(0, MOST_LANGUAGE);
  return { mark, length: found[1].length, margin: found[0].length - found[1].length, language };
}

/** Whether a line closes a code block opened by `length` marks. */
function closes(line, mark, length) {
  const [all, run] = FENCE.exec(line) ?? [];
  return (
    run !== undefined && run[0] === mark && run.length >= length && isEmpty(line.slice(all.length))
  );
}

/** The heading block of a line; null if it is no heading. A run of # at its end is dropped. */
function heading(line) {
  const found = HEADING.exec(line);
  if (!found) return null;
  const text = trimmed(line.slice(found[0].length));
  let end = text.length;
  while (end > 0 && text[end - 1] === "#") end -= 1;
  const closed = end === 0 || isBlank(text[end - 1]);
  return {
    type: "heading",
    level: found[1].length,
    text: closed ? trimmed(text.slice(0, end)) : text,
  };
}

/** Whether a line is a rule: at least three equal marks, and blanks. */
function isRule(line) {
  const mark = RULE.exec(line)?.[1];
  if (!mark) return false;
  let count = 0;
  for (const char of line) {
    if (char === mark) count += 1;
    else if (!isBlank(char)) return false;
  }
  return count >= 3;
}
