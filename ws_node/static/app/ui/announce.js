/** Announcements for screen readers. */

const MOST_PENDING = 3;
let pending = [];
let timer = null;

/** Announce `text` soon; of many texts at once, only their number. */
export function announce(text) {
  pending.push(text);
  timer ??= setTimeout(say, 400);
}

function say() {
  const all = pending;
  pending = [];
  timer = null;
  const words = all.length > MOST_PENDING ? [`${all.length} new messages`] : all;
  document.getElementById("announcer").textContent = words.join(". ");
}
