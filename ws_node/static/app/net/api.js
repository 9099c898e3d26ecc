/** Requests to REST, through ws_node, with the viewer's token. */

import { token } from "./token.js";

/** A refused request, or one without an answer (`status` 0). */
export class ApiError extends Error {
  constructor(status, { code = "UNREACHABLE", message, next_step: next = "" }) {
    super(message);
    this.status = status;
    this.code = code;
    this.next = next;
  }

  /** Whether the same request may succeed a little later. */
  get passing() {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

/**
 * Make one request. Parameters of `query` that are null or undefined are left out.
 *
 * @throws {ApiError}
 */
export async function ask(method, path, { query = {}, body, signal } = {}) {
  const url = new URL(path, location.origin);
  for (const [name, value] of Object.entries(query))
    if (value !== null && value !== undefined) url.searchParams.set(name, value);
  const headers = {};
  if (token()) headers.Authorization = `Bearer ${token()}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch(url, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      credentials: "omit",
      signal: signal ?? AbortSignal.timeout(15_000),
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, { message: "The server did not answer." });
  }
  const read = await answer.json().catch(() => null);
  if (answer.ok && read !== null) return read;
  throw new ApiError(
    answer.status,
    read?.error ?? { message: `The server answered ${answer.status}.` },
  );
}

const at = (sessionId) => `/api/sessions/${encodeURIComponent(sessionId)}`;

export const listSessions = (limit) => ask("GET", "/api/sessions", { query: { limit } });
export const getMessages = (sessionId, query, signal) =>
  ask("GET", `${at(sessionId)}/messages`, { query, signal });
export const addMessage = (sessionId, body) => ask("POST", `${at(sessionId)}/messages`, { body });
export const react = (sessionId, messageId, reaction, remove) =>
  ask(remove ? "DELETE" : "PUT", `${at(sessionId)}/messages/${messageId}/reactions/${reaction}`, {
    body: remove ? undefined : {},
  });
export const getSession = (sessionId) => ask("GET", at(sessionId));
export const search = (query, signal) => ask("GET", "/api/search", { query, signal });
