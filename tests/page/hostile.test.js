// No text keeps the page busy: every pattern of its sources and its whole Markdown renderer take
// 100,000 hostile characters within 100 ms of processor time.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";

import { ANY, FIND } from "../../ws_node/static/app/ui/hidden.js";
import { markdown } from "../../ws_node/static/app/markdown/render.js";
import "./dom.js";
import { alphabet, literals } from "./patterns.js";

const MOST_MS = 100;
const LENGTH = 100_000;
const LENGTHS = [5000, 20_000, LENGTH]; // so that a slow pattern fails soon
const STATIC = new URL("../../ws_node/static/", import.meta.url);

/** The patterns that are no literals, for each file that makes some. */
const BUILT = { "app/ui/hidden.js": [FIND, ANY] };

/** Milliseconds of processor time. */
function once(work) {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

/**
 * The same, the best of up to eight runs, as a busy machine slows some of them down; what is far
 * above the limit is not run again.
 */
function cost(work, limit = MOST_MS) {
  let best = once(work);
  for (let run = 1; run < 8 && best > limit && best < 5 * limit; run += 1)
    best = Math.min(best, once(work));
  return best;
}

function sources() {
  const names = readdirSync(STATIC, { recursive: true }).map((name) => name.replaceAll("\\", "/"));
  const files = names.filter((name) => name.endsWith(".js"));
  return files.map((name) => [name, readFileSync(new URL(name, STATIC), "utf8")]);
}

function patterns() {
  const found = [];
  for (const [file, code] of sources()) {
    for (const one of [...literals(code), ...(BUILT[file] ?? [])])
      found.push({ file, source: one.source, flags: one.flags });
    const builds = /\bRegExp\b/.test(code.replaceAll(/\/\*.*?\*\//gs, ""));
    assert.equal(builds, file in BUILT, `${file} makes patterns that BUILT does not list`);
  }
  return found;
}

/** Both ways in which patterns are used: the next match, and all of them. */
function matcher({ source, flags }) {
  const next = new RegExp(source, flags);
  const all = new RegExp(source, flags.replace(/[gy]/g, "") + "g");
  return (text) => {
    next.lastIndex = 0;
    next.exec(text);
    text.replace(all, "");
  };
}

const PREFIXES = ["", "#code=", "in:a", "https://", "# ", "```", "- "];
const SUFFIXES = ["\u2028", "x"];
const SHORT = 500;
const MOST_SHORT_MS = 20; // of what grows with the square, or faster

/** `[prefix, pump, suffix]`: what is repeated in an input, and what stands around that. */
function* inputs(pattern) {
  const chars = alphabet(pattern, 10);
  for (const pump of chars)
    for (const prefix of [...PREFIXES, ...chars])
      for (const suffix of [...SUFFIXES, ...chars]) yield [prefix, pump, suffix];
  for (const one of chars)
    for (const other of chars)
      for (const prefix of ["", ...chars]) yield [prefix, one + other, SUFFIXES[0]];
}

const text = ([prefix, pump, suffix], length) =>
  prefix + pump.repeat(length / pump.length) + suffix;

/** The inputs that took longest while they were short. */
function slowest(pattern, match) {
  const tried = [];
  for (const input of inputs(pattern)) {
    const short = text(input, SHORT);
    const begin = performance.now();
    match(short);
    const took = performance.now() - begin;
    tried.push({ input, took });
    if (took > MOST_SHORT_MS && cost(() => match(short), MOST_SHORT_MS) > MOST_SHORT_MS)
      assert.fail(`${JSON.stringify(tried.at(-1))} for ${SHORT} characters`);
  }
  tried.sort((one, other) => other.took - one.took);
  return tried.slice(0, 8).map(({ input }) => input);
}

const all = patterns();

test("the patterns of the page are found", () => {
  const code =
    'a = /b\\/[/]/g; // /c/\nx = d / e / f; `${/h/.test("}")} /i/`; return /j/; (k) / l;';
  const found = literals(code).map(({ source }) => source);
  assert.deepEqual(found, ["b\\/[/]", "h", "j"]);
  const inBlocks = all.filter(({ file }) => file === "app/markdown/blocks.js");
  assert.ok(inBlocks.length >= 5 && all.length >= 25, String(all.length));
});

for (const pattern of all)
  test(`${pattern.file}: /${pattern.source.slice(0, 60)}/${pattern.flags}`, () => {
    const match = matcher(pattern);
    for (const input of slowest(pattern, match))
      for (const length of LENGTHS) {
        const long = text(input, length);
        const ms = cost(() => match(long));
        assert.ok(ms < MOST_MS, `${JSON.stringify(input)}: ${ms} ms for ${length} characters`);
      }
  });

/** Makes texts of about that many characters. */
const filled =
  (part, begin = "", end = "") =>
  (length) =>
    begin + part.repeat(length / part.length) + end;

const TEXTS = [
  filled(" ", "# ", "\u2028"),
  filled(" ", "# ", "x"),
  filled(" #", "# ", "x"),
  filled(" ", "```", "`"),
  filled("x", "```"),
  filled(" x", "~~~"),
  filled("`"),
  filled("`", "a ", " `"),
  filled("a`b``c```"),
  filled("- ", "", "x"),
  filled("-", "|a|\n|", "x"),
  filled("-|", "a|b\n"),
  filled("-|", `${"a|".repeat(63)}\n`),
  filled(" -", "a|\n"),
  filled("|"),
  filled("|a\n|-\n"),
  filled("| a | b |\n", "| a | b |\n|---|---|\n"),
  filled("a\n", `${"a|".repeat(64)}\n${"-|".repeat(64)}\n`),
  filled("\\|"),
  filled("\\"),
  filled("> "),
  filled(">"),
  filled("> > a\n"),
  filled("1. "),
  filled("- a\n  "),
  filled("- a\n\n"),
  filled("  - a\n"),
  (length) =>
    Array.from({ length: Math.sqrt(2 * length) }, (_, n) => `${" ".repeat(n)}- a`).join("\n"),
  filled("***\n"),
  filled("*"),
  filled("**", "", "a"),
  filled("*a "),
  filled("*a **b "),
  filled("_a_"),
  filled("_a_b "),
  filled("~~a "),
  filled("*a _b ~~c "),
  filled("*a", "", "*".repeat(500)),
  filled("["),
  filled("[", "", "](x)"),
  filled("[a]("),
  filled("![a"),
  filled("[a](b)"),
  filled("[a](<"),
  filled("]("),
  filled("http://"),
  filled("https://a.b "),
  filled(".", "https://a"),
  filled("h"),
  filled("<b>"),
  filled("\u2028"),
  filled("a\u2029"),
  filled("\r\n\r"),
  filled("line\n"),
  filled("\u200b"),
  filled("a\u200b"),
  filled("😀\u200d"),
  filled("👩\u200d👩"),
  filled("\u{e0041}"),
  filled("🏴\u{e0067}\u{e0062}"),
];

/**
 * Some of these texts become a hundred thousand elements, which take a good part of the time on a
 * busy machine. There, what takes no longer for its length than a shorter one is right too.
 */
test("the whole renderer", () => {
  for (const make of TEXTS) {
    const [content, short] = [make(LENGTH), make(LENGTH / 16)];
    const ms = cost(() => markdown(content));
    if (ms < MOST_MS) continue;
    const least = Math.max(1, Math.min(...[1, 2, 3].map(() => once(() => markdown(short)))));
    const shown = JSON.stringify([content.slice(0, 20), content.slice(-20)]);
    assert.ok(ms < 40 * least, `${shown}: ${ms} ms, ${least} ms for a 16th`); // a square: 256
  }
});
