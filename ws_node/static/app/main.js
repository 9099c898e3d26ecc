/** The page: signing in, and which view is shown. */

import { ANYBODY, claims, redeem, signOut, takeCode } from "./net/access.js";
import { ask, listSessions } from "./net/api.js";
import { ConnectionView } from "./views/connection_view.js";
import { Directory } from "./model/directory.js";
import { fill, h } from "./ui/dom.js";
import { Feed } from "./net/feed.js";
import { listenToKeys } from "./ui/keyboard.js";
import { current, toList, toSession } from "./model/route.js";
import { SearchView } from "./views/search_view.js";
import { searchForm } from "./views/search_form.js";
import { SessionView } from "./views/session_view.js";
import { SessionsView } from "./views/sessions_view.js";
import { signInView } from "./views/signin_view.js";
import { setReader } from "./ui/mention.js";
import { lasting } from "./net/storage.js";
import { setPlace, setUnread } from "./ui/title.js";
import { token } from "./net/token.js";
import { welcomeView } from "./views/welcome_view.js";

const app = document.getElementById("app");

const NEEDED = {
  BAD_CODE: "This link has been used, has run out, or is not whole.",
  UNAUTHENTICATED: "Your sign-in is no longer valid: it has run out, or was taken back.",
};

// a link opened in a tab of this page changes only the fragment: reload to redeem its code
addEventListener("hashchange", () => location.hash.startsWith("#code=") && location.reload());
start();

async function start() {
  const code = takeCode();
  if (code) {
    try {
      const session = await redeem(code);
      if (session) location.hash = toSession(session);
    } catch (error) {
      if (!token()) return askToSignIn(error.passing ? error.message : NEEDED.BAD_CODE);
    }
  }
  const deployment = await ask("GET", "/static/deployment.json").catch(() => ({
    mcp_url: "",
    auth: "token",
  }));
  if (deployment.auth === "off") return run(deployment, ANYBODY);
  const who = token() && claims(token());
  if (!who) return askToSignIn("");
  try {
    await listSessions(1);
  } catch (error) {
    if (error.status === 401) return askToSignIn(NEEDED.UNAUTHENTICATED);
  }
  run(deployment, who);
}

function askToSignIn(reason) {
  setPlace("");
  const onForget = token() ? () => (signOut(), location.reload()) : null;
  fill(app, signInView(reason, { onForget }));
}

function run(deployment, who) {
  setReader(who.unverified ? null : who.name);
  const feed = new Feed(deployment.auth === "off" ? null : token());
  const directory = new Directory(feed, () => update());
  const list = new SessionsView(directory);
  const place = h("div", { class: "place" });
  let view = null;
  let shown = null;

  fill(app, banner(deployment), h("div", { class: "frame" }, top(feed, who), list.element, place));
  addEventListener("hashchange", show);
  listenToKeys(() => (view instanceof SessionView ? view : null));
  feed.onState((state) => {
    if (state.name !== "sign-in") return;
    removeEventListener("hashchange", show);
    view?.close();
    directory.stop();
    feed.close();
    view = null;
    setUnread(0);
    askToSignIn(NEEDED.UNAUTHENTICATED);
  });
  directory.start();
  show();

  function update() {
    list.update();
    setUnread(directory.unread);
    if (shown?.screen === "list") welcome();
  }

  function welcome() {
    const empty = directory.loaded && !directory.problem && !directory.rows().length;
    if (place.dataset.empty === String(empty)) return;
    place.dataset.empty = String(empty);
    place.replaceChildren(
      h("main", { id: "main", tabindex: "-1" }, welcomeView(deployment, empty)),
    );
  }

  function show() {
    const route = current();
    const same = route.screen === "session" && shown?.session === route.session;
    shown = route;
    if (same) {
      if (route.message) view.show(route.message);
      return;
    }
    view?.close();
    view = null;
    directory.open = route.session ?? null;
    delete place.dataset.empty;
    app.setAttribute("data-screen", route.screen);
    setPlace(route.session ?? (route.screen === "search" ? "Search" : ""));
    if (route.screen === "session") view = new SessionView(route.session, { feed, directory, who });
    if (route.screen === "search") view = new SearchView(route.words);
    if (view) {
      place.replaceChildren(view.element);
      view.element.focus({ preventScroll: true });
      view.start(route.message);
    }
    update();
  }
}

function top(feed, who) {
  const name = who.unverified ? "anybody" : who.name;
  return h(
    "header",
    { class: "top" },
    h("h1", {}, h("a", { href: toList }, "Partyline")),
    new ConnectionView(feed).element,
    searchForm(null),
    h(
      "details",
      { class: "menu who" },
      h("summary", {}, name),
      h(
        "div",
        { class: "menu-items" },
        h(
          "p",
          {},
          who.unverified
            ? "Nobody needs to sign in here."
            : `Signed in as ${name} (${who.scopes.join(", ")}).`,
        ),
        who.unverified
          ? null
          : h(
              "button",
              { type: "button", onclick: () => (signOut(), location.assign("/")) },
              "Sign out",
            ),
      ),
    ),
  );
}

function banner({ auth }) {
  const notes = [];
  if (auth === "off")
    notes.push(
      "PARTYLINE_AUTH=off: anybody on this machine can read and write here, under any name.",
    );
  if (!lasting)
    notes.push(
      "This browser keeps nothing for this page: when the tab is closed or loaded anew, " +
        "your sign-in and what you have typed are gone.",
    );
  return notes.length ? h("p", { class: "banner", role: "note" }, notes.join(" ")) : null;
}
