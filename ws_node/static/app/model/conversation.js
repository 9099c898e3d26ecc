/**
 * The messages of a session as threads. Messages that are no replies are top entries, in order.
 * Each has the replies of its thread, at any depth, as one ordered list. Pure: no DOM.
 *
 * An entry: {id, message, thread, replies}. `thread` is the top entry of its thread; a top entry is
 * its own. Only top entries have replies. A reply whose parent is not loaded is a top entry.
 */
export class Conversation {
  constructor() {
    this._entries = new Map();
    this._orphans = new Map(); // id of a missing parent -> the top entries that reply to it
    this.tops = [];
  }

  get size() {
    return this._entries.size;
  }

  entry(id) {
    return this._entries.get(id);
  }

  /**
   * Add a message, in any order. Returns null if it is there already, else `{entry, adopted}`:
   * `adopted` are former top entries that are now replies in its thread.
   */
  add(message) {
    if (this._entries.has(message.id)) return null;
    const entry = { id: message.id, message, thread: null, replies: [] };
    this._entries.set(message.id, entry);
    const parent = this._entries.get(message.parent_message_id);
    if (parent) {
      entry.thread = parent.thread;
      insert(entry.thread.replies, entry);
    } else {
      entry.thread = entry;
      insert(this.tops, entry);
      if (message.parent_message_id) this._await(message.parent_message_id, entry);
    }
    return { entry, adopted: this._adopt(entry) };
  }

  /** The entry right before this one, among the top entries or the replies of its thread. */
  before(entry) {
    const row = entry.thread === entry ? this.tops : entry.thread.replies;
    return row[place(row, entry.id) - 1] ?? null;
  }

  /** The entry right after this one, likewise. */
  after(entry) {
    const row = entry.thread === entry ? this.tops : entry.thread.replies;
    return row[place(row, entry.id) + 1] ?? null;
  }

  /** The first top entry after an id, which itself need not be there. */
  topAfter(id) {
    const at = place(this.tops, id);
    return (this.tops[at]?.id === id ? this.tops[at + 1] : this.tops[at]) ?? null;
  }

  /** Remove the oldest threads except the newest `keep`; returns their top entries. */
  trim(keep) {
    const gone = this.tops.splice(0, Math.max(0, this.tops.length - keep));
    for (const top of gone)
      for (const entry of [top, ...top.replies]) {
        this._entries.delete(entry.id);
        this._orphans.delete(entry.id);
      }
    return gone;
  }

  _await(parentId, entry) {
    const waiting = this._orphans.get(parentId);
    if (waiting) waiting.push(entry);
    else this._orphans.set(parentId, [entry]);
  }

  _adopt(parent) {
    const orphans = this._orphans.get(parent.id) ?? [];
    this._orphans.delete(parent.id);
    const adopted = [];
    for (const top of orphans) {
      const at = place(this.tops, top.id);
      if (this.tops[at] !== top) continue; // trimmed meanwhile
      this.tops.splice(at, 1);
      for (const entry of [top, ...top.replies.splice(0)]) {
        entry.thread = parent.thread;
        insert(parent.thread.replies, entry);
        adopted.push(entry);
      }
    }
    return adopted.sort((one, other) => one.id - other.id);
  }
}

function insert(row, entry) {
  if (!row.length || row.at(-1).id < entry.id) row.push(entry);
  else row.splice(place(row, entry.id), 0, entry);
}

/** The index of `id` in a row that ascends by id, or where to insert it. */
function place(row, id) {
  let [low, high] = [0, row.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (row[middle].id < id) low = middle + 1;
    else high = middle;
  }
  return low;
}
