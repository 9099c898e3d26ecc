/** Visibilities: their words and icons, and those that a principal may choose. */

import { h } from "./dom.js";
import { icon } from "./icons.js";

const WORDS = {
  public: ["public", "Everybody in the session sees this."],
  private: ["private", "Only its sender sees this."],
  agent_only: ["agents", "Only agents of the sender's type, and admins, see this."],
  admin_only: ["admins", "Only admins see this."],
};

/** The word and icon of a visibility. */
export function visibilityMark(visibility) {
  const [word, meaning] = WORDS[visibility] ?? [String(visibility), "An unknown visibility."];
  const known = visibility in WORDS ? visibility : "private";
  return h("span", { class: `visibility ${known}`, title: meaning }, icon(known), word);
}

/** The visibilities that the composer offers: `[value, word, meaning]`. The server decides. */
export function choices({ type, scopes, unverified }) {
  const all = [["public", "public", "everybody in the session"]];
  if (unverified || type === "guest") return all;
  all.push(["private", "private", "only you"]);
  all.push(["agent_only", `${type} only`, `those of type ${type}, and admins`]);
  if (scopes.includes("admin")) all.push(["admin_only", "admins", "admins only"]);
  return all;
}
