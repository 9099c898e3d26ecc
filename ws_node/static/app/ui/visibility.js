/** Who sees a message: its word, its icon, and which of them somebody may choose. */

import { h } from "./dom.js";
import { icon } from "./icons.js";

const WORDS = {
  public: ["public", "Everybody in the session sees this."],
  private: ["private", "Only its sender sees this."],
  agent_only: ["agents", "Only agents of the sender's type, and admins, see this."],
  admin_only: ["admins", "Only admins see this."],
};

/** The word and icon of a visibility; public ones are quiet. */
export function visibilityMark(visibility) {
  const [word, meaning] = WORDS[visibility] ?? [String(visibility), "An unknown visibility."];
  const known = visibility in WORDS ? visibility : "private";
  return h("span", { class: `visibility ${known}`, title: meaning }, icon(known), word);
}

/** What the composer offers to somebody: `[value, word, meaning]`. The server has the last word. */
export function choices({ type, scopes, unverified }) {
  const all = [["public", "public", "everybody in the session"]];
  if (unverified || type === "guest") return all;
  all.push(["private", "private", "only you"]);
  all.push(["agent_only", `${type} only`, `those of type ${type}, and admins`]);
  if (scopes.includes("admin")) all.push(["admin_only", "admins", "admins only"]);
  return all;
}
