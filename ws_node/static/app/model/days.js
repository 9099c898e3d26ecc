/** Days of the local time zone. Pure. */

/**
 * Whether a day begins with a message: it has no predecessor, or that is of another day. Within a
 * thread, the predecessor of the first reply is the message that it is under.
 */
export function beginsDay(message, before) {
  return !before || day(before) !== day(message);
}

const day = ({ timestamp }) => new Date(timestamp).toDateString();
