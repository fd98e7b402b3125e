// Keeps the page fresh without losing the reader's place: it fetches the page
// again and replaces what is in <main>. Without it the page works too, and is
// loaded anew as a whole.
"use strict";

const every = 10_000;
const stale = document.getElementById("stale");
let newest = 0;

// show takes over what url shows now. What somebody is about to copy, or is writing,
// stays where it is, if asked for; the tab's title is always taken over.
async function show(url, keepSelected = false) {
  const turn = ++newest;
  let fresh;
  try {
    const answer = await fetch(url, { headers: { Accept: "text/html" }, signal: AbortSignal.timeout(every) });
    if (!answer.ok) throw new Error(answer.statusText);
    fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  } catch {
    if (turn === newest) lost();
    return;
  }
  if (turn !== newest) return;
  document.title = fresh.title;
  stale.replaceChildren(...fresh.getElementById("stale").childNodes);
  stale.hidden = true;
  if (keepSelected && (!getSelection().isCollapsed || document.activeElement?.matches("main input"))) return;
  const main = fresh.querySelector("main");
  for (const open of document.querySelectorAll("main details[open]")) {
    main.querySelector("#" + open.id)?.setAttribute("open", "");
  }
  const focus = focused();
  document.querySelector("main").replaceWith(main);
  if (focus) document.querySelector(focus)?.focus({ preventScroll: true });
}

// lost says that there is no answer, in the tab's title too: what it said of the
// health is of the past.
function lost() {
  stale.hidden = false;
  document.title = document.title.replace(/^\S+ (?=streamkeeper)/, "? ");
}

// focused finds the link or summary with the focus again on the next page.
function focused() {
  const element = document.activeElement;
  const page = element?.closest("main nav a");
  if (page) return `main nav a[rel=${page.rel}]`;
  const heading = element?.closest("main thead th");
  if (heading) return `main .streams thead th.${CSS.escape(heading.className)} a`;
  const details = element?.closest("main details");
  return details ? `#${details.id} summary` : "";
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("main thead a, main nav a");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
  event.preventDefault();
  const url = new URL(link.href);
  url.hash = "";
  history.pushState(null, "", url);
  show(url);
});
addEventListener("popstate", () => show(location.href));
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) show(location.href);
});
// Of a tab in the background one sees the title alone: it is kept fresh, too, as
// often as the browser lets it.
setInterval(() => show(location.href, true), every);
