/** Tables of GitHub Flavored Markdown. Pure; time is linear in the text. */

import { trimmed } from "./lines.js";

const MOST_COLUMNS = 64;

/**
 * `{align, head}` if a line is the head of a table and the next one its delimiter row, which has
 * as many cells; else null.
 */
export function tableHead(line, next) {
  if (!line.includes("|") || !next?.includes("|") || !/^[ \t]*[-:|]/.test(next)) return null;
  const delimiters = cells(next);
  if (delimiters.length > MOST_COLUMNS || !delimiters.every((cell) => /^:?-+:?$/.test(cell)))
    return null;
  const head = cells(line);
  return head.length === delimiters.length ? { align: delimiters.map(alignment), head } : null;
}

/** The cells of a row, at most `columns`; missing cells are not added. */
export function tableRow(line, columns) {
  return cells(line).slice(0, columns);
}

function alignment(delimiter) {
  if (!delimiter.endsWith(":")) return "start";
  return delimiter.startsWith(":") ? "center" : "end";
}

/** The cells of a line, separated by bars that are not escaped with a backslash. */
function cells(line) {
  const parts = [];
  let begin = 0;
  for (let bar = line.indexOf("|"); bar >= 0; bar = line.indexOf("|", bar + 1)) {
    if (line[bar - 1] === "\\") continue;
    parts.push(cell(line, begin, bar));
    begin = bar + 1;
  }
  parts.push(cell(line, begin, line.length));
  if (parts.length > 1 && parts[0] === "") parts.shift();
  if (parts.length > 1 && parts.at(-1) === "") parts.pop();
  return parts;
}

function cell(line, begin, end) {
  return trimmed(line.slice(begin, end)).replaceAll("\\|", "|");
}
