/**
 * Parses inline Markdown into nodes. Pure; time is linear in any text: positions found by a search,
 * or its failure, are kept for the next one.
 *
 * Nodes: {type: text|code|break, text}, {type: strong|em|del, nodes}, {type: link, address, nodes}.
 */

const MARKS = [
  ["**", "strong"],
  ["__", "strong"],
  ["~~", "del"],
  ["*", "em"],
  ["_", "em"],
];
const MAX_DEPTH = 6;
const BARE = /https?:\/\/[^\s<>"`]+/y;
const PUNCTUATION = new Set(".,;:!?'*_~]");
const ESCAPED = /[\\`*_{}[\]()#+\-.!~|<>]/;
const SPECIAL = /[\\`*_~[!h\n]/g;

/** @param {{depth?: number, linked?: boolean}} inside `linked`: in a link; links do not nest. */
export function inline(text, { depth = 0, linked = false } = {}) {
  SPECIAL.lastIndex = 0;
  if (!SPECIAL.test(text)) return text ? [{ type: "text", text }] : [];
  return new Scanner(text, depth, linked).nodes();
}

/** An address without the punctuation of the sentence around it. */
function withoutPunctuation(address) {
  let end = address.length;
  while (PUNCTUATION.has(address[end - 1])) end -= 1;
  return address.slice(0, end);
}

class Scanner {
  constructor(text, depth, linked) {
    this.text = text;
    this.depth = depth;
    this.linked = linked;
    this.at = 0;
    this.plain = "";
    this.out = [];
    this.known = new Map();
    this.closing = new Map();
    this.ticks = null;
  }

  nodes() {
    const { text } = this;
    while (this.at < text.length) {
      SPECIAL.lastIndex = this.at;
      const found = SPECIAL.exec(text);
      const stop = found ? found.index : text.length;
      this.plain += text.slice(this.at, stop);
      this.at = stop;
      if (found && !this._special(found[0])) {
        this.plain += text[this.at];
        this.at += 1;
      }
    }
    this._flush();
    return this.out;
  }

  _special(char) {
    if (char === "\n") return this._push({ type: "break", text: "\n" }, this.at + 1);
    if (char === "\\") return this._escape();
    if (char === "`") return this._code();
    if (char === "h") return !this.linked && this._bare();
    if (char === "[") return !this.linked && this._link(this.at);
    if (char === "!")
      return !this.linked && this.text[this.at + 1] === "[" && this._link(this.at + 1);
    return this.depth < MAX_DEPTH && this._emphasis();
  }

  _escape() {
    const next = this.text[this.at + 1];
    if (next === undefined || !ESCAPED.test(next)) return false;
    this.plain += next;
    this.at += 2;
    return true;
  }

  /** Code is delimited by two runs of equally many backticks. */
  _code() {
    let begin = this.at + 1;
    while (this.text[begin] === "`") begin += 1;
    const length = begin - this.at;
    const end = this._ticks(length, begin);
    if (end < 0) {
      this.plain += this.text.slice(this.at, begin);
      this.at = begin;
      return true;
    }
    const inner = this.text.slice(begin, end);
    const padded = inner.startsWith(" ") && inner.endsWith(" ") && !/^ *$/.test(inner);
    return this._push({ type: "code", text: padded ? inner.slice(1, -1) : inner }, end + length);
  }

  /** Index of the next run of `length` backticks at or after `from`, which only grows; else -1. */
  _ticks(length, from) {
    if (this.ticks === null) {
      this.ticks = new Map();
      for (const { 0: run, index } of this.text.matchAll(/`+/g)) {
        const same = this.ticks.get(run.length);
        if (same) same.push(index);
        else this.ticks.set(run.length, [index]);
      }
      for (const places of this.ticks.values()) places.reverse();
    }
    const places = this.ticks.get(length) ?? [];
    while (places.length && places.at(-1) < from) places.pop();
    return places.at(-1) ?? -1;
  }

  _bare() {
    const before = this.text[this.at - 1];
    if (before !== undefined && /[\p{L}\p{N}]/u.test(before)) return false;
    BARE.lastIndex = this.at;
    const match = BARE.exec(this.text);
    if (!match) return false;
    let address = withoutPunctuation(match[0]);
    if (address.endsWith(")") && !address.includes("(")) address = address.slice(0, -1);
    const nodes = [{ type: "text", text: address }];
    return this._push({ type: "link", address, nodes }, this.at + address.length);
  }

  /** `[label](address)`. An image becomes a link too: the page loads nothing from elsewhere. */
  _link(begin) {
    const middle = this._next("](", begin + 1);
    if (middle < 0 || middle - begin > 1000) return false;
    const end = this._next(")", middle + 2);
    if (end < 0 || end - middle > 2100) return false;
    const address = this.text
      .slice(middle + 2, end)
      .trim()
      .replace(/^<(.*)>$/, "$1")
      .split(/\s/)[0];
    const label = this.text.slice(begin + 1, middle);
    const nodes = inline(label || address, { depth: this.depth + 1, linked: true });
    return this._push({ type: "link", address, nodes, image: begin > this.at }, end + 1);
  }

  _emphasis() {
    for (const [mark, type] of MARKS) {
      if (!this.text.startsWith(mark, this.at)) continue;
      const begin = this.at + mark.length;
      const end = this._opens(mark) ? this._closing(mark, begin + 1) : -1;
      if (end > begin)
        return this._push({ type, nodes: this._inner(begin, end) }, end + mark.length);
      this.plain += mark;
      this.at = begin;
      return true;
    }
    return false;
  }

  _inner(begin, end) {
    return inline(this.text.slice(begin, end), { depth: this.depth + 1, linked: this.linked });
  }

  _opens(mark) {
    const next = this.text[this.at + mark.length];
    const before = this.text[this.at - 1];
    if (next === undefined || /\s/.test(next) || next === mark[0]) return false;
    return mark[0] !== "_" || before === undefined || !/[\p{L}\p{N}]/u.test(before);
  }

  /** The index of the next closing mark at or after `from`, which only grows; else -1. */
  _closing(mark, from) {
    const known = this.closing.get(mark);
    if (known !== undefined && (known === -1 || known >= from)) return known;
    let end = this.text.indexOf(mark, from);
    while (end >= 0 && !this._closes(mark, end)) end = this.text.indexOf(mark, end + 1);
    this.closing.set(mark, end);
    return end;
  }

  _closes(mark, at) {
    const before = this.text[at - 1];
    const after = this.text[at + mark.length];
    if (/\s/.test(before)) return false;
    if (mark.length === 1 && (after === mark || before === mark)) return false;
    return mark[0] !== "_" || after === undefined || !/[\p{L}\p{N}]/u.test(after);
  }

  /** The index of `needle` at or after `from`, which only grows; kept until passed. */
  _next(needle, from) {
    const known = this.known.get(needle);
    if (known !== undefined && (known === -1 || known >= from)) return known;
    const found = this.text.indexOf(needle, from);
    this.known.set(needle, found);
    return found;
  }

  _push(node, at) {
    this._flush();
    this.out.push(node);
    this.at = at;
    return true;
  }

  _flush() {
    if (this.plain) this.out.push({ type: "text", text: this.plain });
    this.plain = "";
  }
}
