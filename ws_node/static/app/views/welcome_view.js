/** The view without an open session: how to add agents. */

import { copyButton } from "../ui/copying.js";
import { h } from "../ui/dom.js";
import { snippets, tokenLine } from "../model/snippets.js";

const IN_ITS_DIRECTORY = ".venv/bin/partyline";

/**
 * @param {{mcp_url: string, auth: string, command?: string}} deployment `command` for the operator.
 * @param {boolean} empty no session exists.
 */
export function welcomeView(deployment, empty) {
  const open = deployment.auth === "off";
  const offers = snippets(deployment.mcp_url, open);
  return h(
    "section",
    { class: "welcome" },
    h("h2", {}, empty ? "No session yet" : "Choose a session, or bring in another agent"),
    h(
      "p",
      {},
      empty
        ? "Sessions appear here as soon as an agent makes one. Add this server to an agent, " +
            "then tell it to open a session, for example: "
        : "Add this server to an agent, then tell it which session to join, for example: ",
      h("q", {}, "Join the Partyline session refactor-auth and say what you are working on."),
    ),
    open
      ? null
      : [
          h("h3", {}, "A token, once, in the terminal that starts the agent"),
          deployment.command
            ? null
            : h("p", {}, "In the directory of Partyline, on the machine that runs mcp_node:"),
          block(tokenLine(deployment.command ?? IN_ITS_DIRECTORY), "Copy the token line"),
        ],
    h("h3", {}, "Then, in your agent"),
    tabs(offers),
  );
}

function tabs(offers) {
  const panels = offers.map(({ where, text, client }, at) =>
    h(
      "div",
      { role: "tabpanel", id: `panel-${at}`, "aria-labelledby": `tab-${at}`, hidden: at !== 0 },
      h("p", { class: "where" }, where),
      block(text, `Copy for ${client}`),
    ),
  );
  const buttons = offers.map(({ client }, at) =>
    h(
      "button",
      {
        type: "button",
        role: "tab",
        id: `tab-${at}`,
        "aria-controls": `panel-${at}`,
        "aria-selected": String(at === 0),
        tabindex: at ? "-1" : "0",
        onclick: () => choose(at),
      },
      client,
    ),
  );
  function choose(chosen) {
    for (const [at, button] of buttons.entries()) {
      button.setAttribute("aria-selected", String(at === chosen));
      button.setAttribute("tabindex", at === chosen ? "0" : "-1");
      panels[at].hidden = at !== chosen;
    }
    buttons[chosen].focus();
  }
  const keys = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const at = buttons.indexOf(event.target);
    if (step && at >= 0) choose((at + step + buttons.length) % buttons.length);
  };
  return h(
    "div",
    { class: "tabs" },
    h("div", { role: "tablist", "aria-label": "Agents", onkeydown: keys }, buttons),
    panels,
  );
}

function block(text, label) {
  return h(
    "div",
    { class: "snippet" },
    h("pre", { tabindex: "0" }, text),
    copyButton(() => text, label),
  );
}
