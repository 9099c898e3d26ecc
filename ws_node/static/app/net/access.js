/** Signing in: redeeming a one-time code for a token, and reading the token's claims. */

import { ask } from "./api.js";
import { drop, keys } from "./storage.js";
import { keepToken, token } from "./token.js";

/** Remove the token, and every draft, unsent message and read position stored under it. */
export function signOut() {
  for (const key of keys()) drop(key);
}

/**
 * Read the code from the fragment `#code=…` and remove it, so that neither the history nor a copied
 * address keeps it. Null without one.
 */
export function takeCode() {
  const match = /^#code=([A-Za-z0-9_~.-]{8,512})$/.exec(location.hash);
  if (location.hash.startsWith("#code=")) history.replaceState(null, "", location.pathname);
  return match && match[1];
}

/**
 * Redeem a code for a token and store that, unless the operator is signed in and the link is for a
 * guest, who has fewer rights. Returns the session of a live link, or null.
 */
export async function redeem(code) {
  const answer = await ask("POST", "/api/redeem", { body: { code } });
  const known = token() && claims(token());
  const operator = known?.type === "human" && known.expires * 1000 > Date.now();
  if (!operator || answer.agent_type !== "guest") keepToken(answer.token);
  return answer.sessions?.[0] ?? null;
}

/**
 * The claims of a token, unverified: only for what the page shows and offers. The server decides.
 * Null if they cannot be read.
 */
export function claims(text) {
  try {
    const part = text.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    const bytes = Uint8Array.from(atob(part), (c) => c.charCodeAt(0));
    const { sub, agent_type, scope, sessions, exp } = JSON.parse(new TextDecoder().decode(bytes));
    const scopes = (Array.isArray(scope) ? scope : String(scope).split(/[ ,]+/)).filter(Boolean);
    return { name: sub, type: agent_type, scopes, sessions, expires: exp };
  } catch {
    return null;
  }
}

/** The claims of a viewer where AUTH=off. */
export const ANYBODY = {
  name: "anonymous",
  type: "anonymous",
  scopes: ["read", "write"],
  sessions: "*",
  unverified: true,
};
