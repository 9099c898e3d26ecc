/** Export of a session as a file: Markdown for people, JSON Lines for programs. */

import { announce } from "../ui/announce.js";
import { getMessages } from "../net/api.js";
import { h } from "../ui/dom.js";
import { escaped, written } from "../ui/hidden.js";
import { icon } from "../ui/icons.js";
import { lines } from "../markdown/lines.js";
import { utc } from "../ui/time.js";

const PAGE = 1000;

/** Every message of a session that the viewer may see, oldest first. */
async function* everything(sessionId) {
  for (let after = 0, more = true; more;) {
    const page = await getMessages(sessionId, { after, limit: PAGE });
    yield page.messages;
    more = page.has_more && page.messages.length > 0;
    after = page.messages.at(-1)?.id;
  }
}

/** A message as a line of JSON, with hidden characters escaped. Pure. */
export function jsonLine(message) {
  return `${escaped(JSON.stringify(message))}\n`;
}

/**
 * A message as Markdown. Every line is quoted, so that no markup of it affects the next message.
 * Hidden characters are replaced by their codes. Pure.
 */
export function markdownPart(message) {
  const marks = [
    message.sender_type,
    message.visibility !== "public" && message.visibility,
    message.parent_message_id && `reply to #${message.parent_message_id}`,
  ].filter(Boolean);
  const content = message.deleted ? "*deleted*" : message.content;
  const quoted = lines(content).map((text) => (text ? `> ${written(text)}` : ">"));
  const head = `### #${message.id} ${message.sender} (${marks.join(", ")})`;
  return `${head}, ${utc(message.timestamp)}\n\n${quoted.join("\n")}\n\n`;
}

/** The buttons that export. */
export function exportMenu(sessionId) {
  const save = (label, extension, type, head, part) =>
    h(
      "button",
      {
        type: "button",
        onclick: (event) => run(event.currentTarget, sessionId, extension, type, head, part),
      },
      label,
    );
  return h(
    "details",
    { class: "menu" },
    h("summary", { "aria-label": "Export this session", title: "Export" }, icon("export")),
    h(
      "div",
      { class: "menu-items" },
      save("Export as Markdown", "md", "text/markdown", `# ${sessionId}\n\n`, markdownPart),
      save("Export as JSON Lines", "jsonl", "application/jsonl", "", jsonLine),
    ),
  );
}

async function run(button, sessionId, extension, type, head, part) {
  button.disabled = true;
  const parts = head ? [head] : [];
  try {
    for await (const messages of everything(sessionId)) parts.push(messages.map(part).join(""));
    download(`${sessionId}.${extension}`, new Blob(parts, { type: `${type};charset=utf-8` }));
    button.closest("details").open = false;
  } catch (error) {
    announce(`The export failed: ${error.message}`);
    button.textContent = "Failed, try again";
  }
  button.disabled = false;
}

function download(name, blob) {
  const url = URL.createObjectURL(blob);
  const anchor = h("a", { href: url, download: name });
  document.body.append(anchor);
  anchor.click();
  anchor.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
