/** Presence in a session: viewers, agents and whether they wait, and messages per minute. */

import { chart, perMinute } from "../ui/chart.js";
import { h } from "../ui/dom.js";
import { icon } from "../ui/icons.js";
import { colours, initials } from "../model/sender.js";
import { ago } from "../ui/time.js";

const EVERY_MS = 10_000;
const ACTIVE_SECONDS = 300;
const MOST_TIMES = 5000;
const MOST_FACES = 6;

export class PresenceView {
  constructor(sessionId) {
    this._colours = colours(sessionId);
    this._times = [];
    this._agents = [];
    this._viewers = h("span", { class: "viewers", hidden: true });
    this._faces = h("ul", { class: "agents", "aria-label": "Agents" });
    this._chart = h("span", { class: "activity" });
    this._summary = h("span", { class: "agents-summary" });
    this.element = h(
      "div",
      { class: "presence" },
      this._faces,
      this._summary,
      this._viewers,
      this._chart,
    );
    // drawn again from time to time, because it shows ages
    this._timer = setInterval(() => document.hidden || this._draw(), EVERY_MS);
    this._draw();
  }

  /** Show new presence; agents null: not known now, the last known stay. */
  update({ viewers, agents }) {
    if (Number.isInteger(viewers)) {
      this._viewers.replaceChildren(icon("people"), `${viewers} watching`);
      this._viewers.hidden = false;
    }
    if (Array.isArray(agents)) this._agents = agents;
    this._draw();
  }

  /** Add the time of a message to the chart. */
  count(timestamp) {
    this._times.push(Date.parse(timestamp));
    if (this._times.length > MOST_TIMES) this._times.splice(0, MOST_TIMES / 2);
    this._stale ??= setTimeout(() => ((this._stale = undefined), this._draw()), 300);
  }

  close() {
    clearInterval(this._timer);
    clearTimeout(this._stale);
  }

  _draw() {
    this._chart.replaceChildren(chart(perMinute(this._times)));
    const faces = this._agents
      .slice(0, MOST_FACES)
      .map((agent) => agentFace(agent, this._colours.of(agent.name)));
    this._faces.replaceChildren(...faces);
    this._summary.textContent = summary(this._agents);
  }
}

/** "waiting", "active", or when it was last seen. Pure. */
export function doing({ waiting, last_seen: seen }, now = Date.now()) {
  if (waiting) return "waiting";
  if (!seen) return "not seen yet";
  return now - Date.parse(seen) < ACTIVE_SECONDS * 1000 ? "active" : `seen ${ago(seen, now)} ago`;
}

/** Such as "2 active, 1 waiting"; empty without agents. Pure. */
export function summary(agents, now = Date.now()) {
  const states = agents.map((agent) => doing(agent, now));
  const count = (word) => states.filter((state) => state === word).length;
  const parts = ["active", "waiting"].filter(count).map((word) => `${count(word)} ${word}`);
  return parts.join(", ") || (agents.length ? "nobody active" : "");
}

function agentFace(agent, hue) {
  const state = doing(agent);
  const words = `${agent.name}: ${state}`;
  return h(
    "li",
    { class: `agent ${state.split(" ")[0]}`, title: words },
    h(
      "span",
      { class: `face small hue-${hue}`, "aria-hidden": "true" },
      initials(agent.name),
    ),
    h("span", { class: "unseen" }, words),
  );
}
