/** Who is looking: the one-time code that becomes a token, and what a token says. */

import { ask } from "./api.js";
import { drop, keys } from "./storage.js";
import { keepToken, token } from "./token.js";

/** Forget the token, and all that was typed, not yet sent, and read under it. */
export function signOut() {
  for (const key of keys()) drop(key);
}

/**
 * Take the code out of the address, at once, so that neither history nor a copied address keeps
 * it. `#code=…`, and null without one.
 */
export function takeCode() {
  const match = /^#code=([A-Za-z0-9_~.-]{8,512})$/.exec(location.hash);
  if (location.hash.startsWith("#code=")) history.replaceState(null, "", location.pathname);
  return match && match[1];
}

/**
 * Redeem a code for a token and keep that, unless the operator is signed in here and the link is a
 * guest's: it would take rights away. Returns the session a live link is for, or null.
 */
export async function redeem(code) {
  const answer = await ask("POST", "/api/redeem", { body: { code } });
  const known = token() && claims(token());
  const operator = known?.type === "human" && known.expires * 1000 > Date.now();
  if (!operator || answer.agent_type !== "guest") keepToken(answer.token);
  return answer.sessions?.[0] ?? null;
}

/**
 * What a token says of itself, to show and to offer the right things; the server alone decides.
 * Null where it cannot be read.
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

/** Who looks where no token is needed: anybody, and nobody in particular. */
export const ANYBODY = {
  name: "anonymous",
  type: "anonymous",
  scopes: ["read", "write"],
  sessions: "*",
  unverified: true,
};
