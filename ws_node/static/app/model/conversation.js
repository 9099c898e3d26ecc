/**
 * The messages of a session as a person reads them: those that answer nothing in order, each with
 * all that answers it, however deep, in one order under it. Pure: no DOM.
 *
 * An entry: {id, message, thread, replies}. `thread` is the entry at the top of its thread, which
 * is itself at the top; only tops have replies. A reply whose parent is not here (yet) is a top.
 */
export class Conversation {
  constructor() {
    this._entries = new Map();
    this._orphans = new Map(); // id of the absent parent -> tops that wait for it
    this.tops = [];
  }

  get size() {
    return this._entries.size;
  }

  entry(id) {
    return this._entries.get(id);
  }

  /**
   * Take a message, in any order. Returns null if it is here already, else
   * `{entry, adopted}`: `adopted` are entries that have left the top to be replies of its thread.
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

  /** What comes right before an entry, among the tops or the replies of its thread. */
  before(entry) {
    const row = entry.thread === entry ? this.tops : entry.thread.replies;
    return row[place(row, entry.id) - 1] ?? null;
  }

  /** What comes right after an entry, likewise. */
  after(entry) {
    const row = entry.thread === entry ? this.tops : entry.thread.replies;
    return row[place(row, entry.id) + 1] ?? null;
  }

  /** Forget the oldest threads but `keep`; returns their tops. */
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

/** Where `id` is in a row ascending by id, or belongs. */
function place(row, id) {
  let [low, high] = [0, row.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (row[middle].id < id) low = middle + 1;
    else high = middle;
  }
  return low;
}
