// Finds the regular expressions of JavaScript sources. Small: it knows as much of the language as
// the page uses, and the tests compile all that it finds.

const WORDS = new Set(["return", "typeof", "case", "in", "of", "void", "delete", "await", "yield"]);

/** Every regular expression literal of a source, `{source, flags}`, in order. */
export function literals(code) {
  const found = [];
  const braces = []; // for each open brace, whether it is one of a template's
  let last = ""; // the last token, as far as it decides what a slash means
  let at = 0;

  const template = () => {
    for (; at < code.length; at += 1) {
      if (code[at] === "\\") at += 1;
      else if (code[at] === "`") break;
      else if (code.startsWith("${", at)) {
        braces.push(true);
        at += 1;
        last = "{";
        return;
      }
    }
    last = "value";
  };

  for (; at < code.length; at += 1) {
    const char = code[at];
    if (/\s/.test(char)) continue;
    if (code.startsWith("//", at)) at = end(code, "\n", at);
    else if (code.startsWith("/*", at)) at = end(code, "*/", at) + 1;
    else if (char === '"' || char === "'") {
      for (at += 1; code[at] !== char; at += 1) if (code[at] === "\\") at += 1;
      last = "value";
    } else if (char === "`") {
      at += 1;
      template();
    } else if (char === "}" && braces.pop()) {
      at += 1;
      template();
    } else if (char === "{") {
      braces.push(false);
      last = char;
    } else if (char === "/" && !isValue(last)) {
      const literal = literalAt(code, at);
      found.push(literal);
      at += literal.source.length + literal.flags.length + 1;
      last = "value";
    } else if (/[\w$]/.test(char)) {
      const [word] = /^[\w$]+/.exec(code.slice(at, at + 100));
      at += word.length - 1;
      last = WORDS.has(word) ? word : "value";
    } else last = char;
  }
  return found;
}

function end(code, what, from) {
  const found = code.indexOf(what, from);
  return found < 0 ? code.length : found;
}

/** Whether a slash divides after that token. */
function isValue(token) {
  return token === "value" || token === ")" || token === "]";
}

function literalAt(code, begin) {
  let inClass = false;
  let at = begin + 1;
  for (; code[at] !== "/" || inClass; at += 1) {
    if (code[at] === "\\") at += 1;
    else if (code[at] === "[") inClass = true;
    else if (code[at] === "]") inClass = false;
    else if (code[at] === "\n" || at >= code.length) throw new Error("no end of a pattern");
  }
  const [flags] = /^[a-z]*/.exec(code.slice(at + 1, at + 10));
  return { source: code.slice(begin + 1, at), flags };
}

const CLASSES = { s: " \t\u2028", S: "x", d: "1", D: "x", w: "a", W: "!", p: "aé", P: "!" };
const CONTROLS = { t: "\t", n: "\n", r: "\r", v: "\v", f: "\f" };
const CODE = /\\u\{([\dA-F]+)\}|\\u([\dA-F]{4})|\\x([\dA-F]{2})/.source;
const SYNTAX = /\\p\{[^}]*\}|\(\?<?[:=!]|\{[\d,]+\}/.source;
const TOKEN = new RegExp(`${CODE}|${SYNTAX}|\\\\(.)|(.)`, "gisu");

/** Some of the characters that a pattern names, and one of each class in it; at most `most`. */
export function alphabet({ source }, most) {
  const chars = new Set();
  let inClass = false;
  for (const [token, long, short, byte, escaped, plain] of source.matchAll(TOKEN)) {
    const code = long ?? short ?? byte;
    if (code) chars.add(String.fromCodePoint(parseInt(code, 16)));
    else if (/^\\p/i.test(token)) for (const char of CLASSES[token[1]]) chars.add(char);
    else if (escaped)
      for (const char of CONTROLS[escaped] ?? CLASSES[escaped] ?? escaped) chars.add(char);
    else if (plain === "[" && !inClass) inClass = true;
    else if (plain === "]" && inClass) inClass = false;
    else if (plain === ".") chars.add(inClass ? "." : "x");
    else if (plain && !(inClass ? /[-^]/ : /[()|*+?^$]/).test(plain)) chars.add(plain);
  }
  const all = [...chars].sort();
  const step = Math.max(1, all.length / most);
  return Array.from({ length: Math.min(most, all.length) }, (_, n) => all[Math.floor(n * step)]);
}
