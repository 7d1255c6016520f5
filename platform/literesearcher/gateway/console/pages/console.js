// The console's frame: which view an address names (after the #, so that no request carries it), and the key's dialog.

import { json, onLocked, Problem } from "./api.js";
import { askView } from "./ask_view.js";
import { announce } from "./elements.js";
import { jobView } from "./job_view.js";
import { jobsView } from "./jobs_view.js";
import { currentKey, forgetKey, isKept, useKey } from "./key.js";

const main = document.getElementById("main");
const dialog = document.getElementById("key-dialog");
const input = document.getElementById("key-input");
const keep = document.getElementById("key-keep");
const fault = document.getElementById("key-fault");
const keyButton = document.getElementById("key-button");
let leaving = null;

function viewOf(hash) {
  const [path, query = ""] = hash.replace(/^#/, "").split("?", 2);
  const job = /^\/jobs\/([^/]+)$/.exec(path);
  if (job) return ["jobs", jobView, { id: job[1] }];
  if (path === "/jobs") return ["jobs", jobsView, { query: new URLSearchParams(query) }];
  return ["ask", askView, {}];
}

/** The address or the title changes without the view. */
function rename(hash, title) {
  if (hash !== null) window.history.replaceState(null, "", hash);
  if (title) document.title = `${title} · LiteResearcher`;
}

function show(moved = true) {
  leaving?.abort();
  leaving = new AbortController();
  const [place, make, given] = viewOf(window.location.hash);
  for (const link of document.querySelectorAll("[data-place]")) {
    if (link.dataset.place === place) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const view = make({ ...given, signal: leaving.signal, rename });
  main.replaceChildren(view.node);
  rename(null, view.title);
  window.scrollTo(0, 0);
  if (dialog.open) return;
  if (view.shown) view.shown();
  else if (moved) main.focus({ preventScroll: true });
}

function openKey(why) {
  keep.checked = isKept();
  input.value = "";
  fault.textContent = why ?? "";
  document.getElementById("key-forget").hidden = currentKey() === null;
  if (!dialog.open) dialog.showModal();
  input.focus();
}

function keyShown() {
  keyButton.textContent = currentKey() === null ? "API key" : "API key: set";
}

async function tryKey(event) {
  event.preventDefault();
  const key = input.value.trim();
  // A header takes nothing else; said here, since the browser would only say "invalid value".
  if (!/^[\x21-\x7e]{1,500}$/.test(key)) {
    fault.textContent = "A key has the form lr_ID_SECRET.";
    return;
  }
  const [before, kept] = [currentKey(), isKept()];
  useKey(key, { keep: keep.checked });
  try {
    await json("/v1/research?limit=1", { locks: false });
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    if (problem.status === 401) {
      if (before === null) forgetKey();
      else useKey(before, { keep: kept });
      fault.textContent = problem.message;
      return;
    }
  }
  input.value = "";
  dialog.close();
  keyShown();
  announce("The key is set");
  show();
}

document.getElementById("key-form").addEventListener("submit", tryKey);
document.getElementById("key-close").addEventListener("click", () => dialog.close());
document.getElementById("key-forget").addEventListener("click", () => {
  forgetKey();
  keyShown();
  dialog.close();
  show();
});
keyButton.addEventListener("click", () => openKey());
onLocked((problem) => {
  if (dialog.open) return;
  openKey(currentKey() === null ? "" : problem.message);
});
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
window.addEventListener("hashchange", () => show());
keyShown();
show(false);
