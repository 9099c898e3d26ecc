/** The title of the tab: the number of unread messages, and what is open. */

let count = 0;
let place = "";

export function setUnread(unread) {
  count = unread;
  write();
}

export function setPlace(name) {
  place = name;
  write();
}

function write() {
  const name = place ? `${place} · Partyline` : "Partyline";
  document.title = count ? `(${count > 99 ? "99+" : count}) ${name}` : name;
}
