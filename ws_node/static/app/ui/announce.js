/** What a screen reader says without being asked. */

const MOST_PENDING = 3;
let pending = [];
let timer = null;

/** Say `text` soon; of much at once, how much, rather than each. */
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
