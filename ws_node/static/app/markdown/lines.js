/** Lines and their blanks. Pure; time is linear in the text. */

/** The lines of a text. Every line terminator of JavaScript ends one, also U+2028 and U+2029. */
export function lines(text) {
  return text.split(/\r\n|[\n\r\u2028\u2029]/);
}

/**
 * A line without the blanks at its ends. Only spaces and tabs are blanks, as in CommonMark:
 * `String.trim` would remove characters that must be shown, such as U+FEFF.
 */
export function trimmed(line) {
  let end = line.length;
  while (end > 0 && isBlank(line[end - 1])) end -= 1;
  const start = Math.min(indentation(line), end);
  return line.slice(start, end);
}

/** How many blanks a line begins with. */
export function indentation(line) {
  let count = 0;
  while (count < line.length && isBlank(line[count])) count += 1;
  return count;
}

/** Whether a line holds nothing but blanks. */
export function isEmpty(line) {
  return indentation(line) === line.length;
}

export function isBlank(char) {
  return char === " " || char === "\t";
}
