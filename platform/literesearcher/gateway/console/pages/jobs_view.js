// The list of jobs with its filters. The filters stand in the address after the #, which no request carries.

import { jobs, Problem } from "./api.js";
import { announce, element } from "./elements.js";
import { count, day, duration, ENDED, plural, seconds, STATES } from "./numbers.js";
import { line } from "./texts.js";

const PAGE = 25;
const AGAIN = 5000;
const SEARCHES = 10;

/** A job in a list. */
export function jobRow(job) {
  const facts = [day(job.created_at)];
  if (job.usage.turns) facts.push(plural(job.usage.turns, "turn"));
  const tokens = job.usage.prompt_tokens + job.usage.completion_tokens;
  if (tokens) facts.push(`${count(tokens)} tokens`);
  if (job.ended_at) facts.push(duration(seconds(job.ended_at) - seconds(job.created_at)));
  return element(
    "li",
    { "data-job": job.id },
    element(
      "a",
      { href: `#/jobs/${job.id}`, class: "row" },
      element("span", { class: `state ${job.status}` }, STATES[job.status] ?? job.status),
      element("span", { class: "row-question", dir: "auto" }, line(job.input, 200)),
      element("span", { class: "facts" }, facts.join(" · ")),
    ),
  );
}

export function jobsView({ query, signal, rename }) {
  const text = element("input", { id: "text", type: "search", maxlength: "200", value: query.get("text") ?? "", autocomplete: "off" });
  const status = element(
    "select",
    { id: "status" },
    element("option", { value: "" }, "Every state"),
    ...Object.entries(STATES).map(([value, name]) => element("option", { value }, name)),
  );
  status.value = STATES[query.get("status")] ? query.get("status") : "";
  const from = element("input", { id: "from", type: "date", value: query.get("from") ?? "" });
  const until = element("input", { id: "until", type: "date", value: query.get("until") ?? "" });
  const form = element(
    "form",
    { class: "filters", role: "search", "aria-label": "Jobs" },
    ...[
      [text, "Question holds"],
      [status, "State"],
      [from, "From day"],
      [until, "Until day"],
    ].map(([box, label]) => element("div", {}, element("label", { for: box.id }, label), box)),
  );
  const list = element("ul", { class: "jobs", "aria-label": "Jobs" });
  const fault = element("p", { class: "fault", role: "alert" });
  const empty = element("p", { class: "hint", hidden: true });
  const more = element("button", { type: "button", class: "more", hidden: true, onclick: () => further() });
  let loading = null;
  let cursor = null;
  let turned = false;

  function filters() {
    const found = {};
    if (text.value.trim()) found.text = text.value.trim();
    if (status.value) found.status = status.value;
    if (from.value) found.created_from = midnight(from.value, 0);
    if (until.value) found.created_before = midnight(until.value, 1);
    return found;
  }

  async function gather(wanted, at) {
    // A search looks through a bounded number of jobs a page, so that a page may be empty and not the last.
    const data = [];
    let next = at;
    for (let turn = 0; turn < SEARCHES; turn += 1) {
      const page = await jobs(wanted, next, PAGE, loading.signal);
      data.push(...page.data);
      next = page.next_cursor;
      if (next === null || data.length >= PAGE || !wanted.text) break;
    }
    return { data, next };
  }

  async function load(at, quiet = false) {
    loading?.abort();
    const mine = (loading = new AbortController());
    const wanted = filters();
    try {
      const { data, next } = await gather(wanted, at);
      if (mine.signal.aborted) return;
      fault.textContent = "";
      if (at === null) replaceRows(list, data);
      else list.append(...data.map(jobRow));
      turned = at !== null;
      cursor = next;
      more.hidden = next === null;
      more.textContent = data.length < PAGE && wanted.text ? "Look further back" : "Show older jobs";
      empty.hidden = list.children.length > 0;
      empty.textContent = Object.keys(wanted).length ? "No job fits these filters." : "There are no jobs yet.";
      if (!quiet) announce(`${plural(list.children.length, "job")} shown`);
    } catch (problem) {
      if (mine.signal.aborted) return;
      if (!(problem instanceof Problem)) throw problem;
      fault.textContent = problem.message;
    }
  }

  async function further() {
    const last = list.lastElementChild;
    await load(cursor);
    (last?.nextElementSibling ?? list.firstElementChild)?.querySelector("a").focus();
  }

  let typing = 0;
  function changed(wait) {
    clearTimeout(typing);
    typing = setTimeout(() => {
      const named = { text: text.value.trim(), status: status.value, from: from.value, until: until.value };
      rename(`#/jobs?${new URLSearchParams(Object.entries(named).filter(([, value]) => value))}`.replace(/\?$/, ""));
      load(null);
    }, wait);
  }
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    changed(0);
  });
  text.addEventListener("input", () => changed(300));
  for (const box of [status, from, until]) box.addEventListener("change", () => changed(0));
  const again = setInterval(() => {
    if (!document.hidden && !turned) load(null, true);
  }, AGAIN);
  signal.addEventListener("abort", () => {
    clearInterval(again);
    clearTimeout(typing);
    loading?.abort();
  });
  load(null);
  return { title: "Jobs", node: element("div", {}, element("h1", {}, "Jobs"), form, fault, list, empty, more) };
}

/** The instant at which a day begins, or one some days later. A day that no clock has goes as it is: the server says so. */
function midnight(day, later) {
  const at = new Date(`${day}T00:00`);
  at.setDate(at.getDate() + later);
  return Number.isNaN(at.getTime()) ? day : at.toISOString();
}

/** Rows that stay are kept, so that nobody's place in the list is lost. */
function replaceRows(list, data) {
  const old = new Map([...list.children].map((row) => [row.dataset.job, row]));
  const rows = data.map((job) => {
    const kept = old.get(job.id);
    const told = JSON.stringify([job.status, job.usage]);
    if (kept && (kept.dataset.told === told || ENDED.has(kept.dataset.status))) return kept;
    const row = kept ?? element("li", { "data-job": job.id });
    const made = jobRow(job);
    if (kept) kept.firstElementChild.replaceChildren(...made.firstElementChild.childNodes);
    else row.append(...made.childNodes);
    Object.assign(row.dataset, { told, status: job.status });
    return row;
  });
  if (rows.length !== list.children.length || rows.some((row, index) => list.children[index] !== row)) {
    const focused = list.contains(document.activeElement) ? document.activeElement : null;
    list.replaceChildren(...rows);
    if (focused?.isConnected) focused.focus();
  }
}
