/**
 * What edits, reactions and deletions make of a message. Pure. A change is a set operation: applied
 * twice, or to a message that was loaded after it, it does nothing more.
 */

/** The reactions, in the order in which they are shown: `[reaction, meaning]`. */
export const REACTIONS = [
  ["ack", "I have read it"],
  ["agree", "I agree"],
  ["disagree", "I disagree"],
  ["done", "It is done"],
  ["question", "I have a question"],
  ["thanks", "Thank you"],
];

/**
 * The message after an event of the live protocol; the same object if that changes nothing.
 *
 * @param {object} message as in REST: `reactions` is `{ack: {count, names}}`, `names` its first 20.
 * @param {"deleted"|"edited"|"reacted"} event
 * @param {object} data of the event
 */
export function changed(message, event, data) {
  if (message.deleted) return message;
  if (event === "deleted")
    return { ...message, content: "", metadata: {}, reactions: {}, deleted: true };
  if (event === "edited") return edited(message, data);
  return reacted(message, data);
}

function edited(message, { content, metadata, edited_at: at, hidden_characters: hidden }) {
  const superseded = content === undefined; // by a later edit, or a deletion
  if (superseded || (message.edited_at ?? "") >= at) return message;
  return { ...message, content, metadata, edited_at: at, hidden_characters: hidden };
}

/** Names that are not listed cannot be told apart: for them the count may be off by one. */
function reacted(message, { sender, reaction, removed }) {
  const { count, names } = message.reactions?.[reaction] ?? { count: 0, names: [] };
  const listed = names.includes(sender);
  if (removed ? !listed && count <= names.length : listed) return message;
  const left = names.filter((name) => name !== sender);
  const now = removed
    ? { count: count - 1, names: left }
    : { count: count + 1, names: [...names, sender] };
  const reactions = { ...message.reactions, [reaction]: now };
  if (!now.count) delete reactions[reaction];
  return { ...message, reactions };
}

/** Such as "alice, bob and 3 more". */
export function reacters({ count, names }) {
  const more = count - names.length;
  return more > 0 ? `${names.join(", ")} and ${more} more` : names.join(", ");
}
