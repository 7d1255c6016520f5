// The question and what may be asked with it. What the server refuses is told beside the field.

import { create, jobs, onceKey, Problem } from "./api.js";
import { element } from "./elements.js";
import { jobRow } from "./jobs_view.js";
import { number, domains, OPTIONS, words } from "./job_options.js";
import { line } from "./texts.js";

export function askView({ signal }) {
  const fields = new Map();
  const question = element("textarea", {
    id: "question",
    rows: "4",
    maxlength: "100000",
    required: true,
    dir: "auto",
    "aria-describedby": "question-hint input-fault",
    placeholder: "What do you want to know?",
  });
  const fault = element("p", { class: "fault", id: "input-fault", role: "alert" });
  const send = element("button", { type: "submit", class: "main" }, "Ask");
  const options = element(
    "details",
    { class: "options" },
    element("summary", {}, "Options"),
    ...OPTIONS.map((group) =>
      element(
        "fieldset",
        {},
        element("legend", {}, group.name),
        element("div", { class: "grid" }, ...group.fields.map((one) => optionField(one, fields))),
      ),
    ),
  );
  const form = element(
    "form",
    { class: "card ask", novalidate: true },
    element("label", { for: "question" }, "Your question"),
    question,
    element("p", { class: "hint", id: "question-hint" }, "Ctrl + Enter asks. The research goes on when you close the page."),
    fault,
    options,
    element("div", { class: "actions" }, send),
  );
  let once = null;
  let asked = null;

  form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (send.disabled) return;
    fault.textContent = "";
    for (const { box, fault: told } of fields.values()) {
      told.textContent = "";
      box.removeAttribute("aria-invalid");
    }
    if (!question.value.trim()) {
      fault.textContent = "Write a question first.";
      question.focus();
      return;
    }
    send.disabled = true;
    try {
      const wish = { input: question.value };
      for (const [path, { box, read }] of fields) put(wish, path, read(box.value));
      // The same question that was sent before and got no answer is one job; a changed one is another.
      const text = JSON.stringify(wish);
      if (asked !== text) [asked, once] = [text, onceKey()];
      const job = await create(wish, once);
      window.location.hash = `#/jobs/${job.id}`;
    } catch (problem) {
      tell(problem);
    } finally {
      send.disabled = false;
    }
  });

  function tell(problem) {
    if (!(problem instanceof Problem)) {
      const { field, message } = problem;
      if (field === undefined) throw problem;
      return mark(fields.get(field), message);
    }
    const unplaced = [];
    for (const { field, message } of problem.errors) {
      const path = [...fields.keys()].find((known) => field === known || field.startsWith(`${known}.`));
      if (path) mark(fields.get(path), message);
      else unplaced.push(field === "input" ? message : `${field}: ${message}`);
    }
    if (unplaced.length || !problem.errors.length) fault.textContent = unplaced.join(" ") || line(problem.message, 400);
  }

  function mark({ box, fault: told }, message) {
    options.open = true;
    told.textContent = line(message, 300);
    box.setAttribute("aria-invalid", "true");
    box.focus();
  }

  const latest = element("ul", { class: "jobs" });
  const recent = element(
    "section",
    { "aria-labelledby": "recent", hidden: true },
    element("h2", { id: "recent" }, "Latest jobs"),
    latest,
  );
  jobs({}, null, 5, signal)
    .then((page) => {
      recent.hidden = page.data.length === 0;
      latest.append(...page.data.map(jobRow));
    })
    .catch(() => {
      // Asking works without them.
    });
  return {
    title: "Ask",
    node: element("div", {}, element("h1", {}, "Ask a question"), form, recent),
    shown: () => question.focus(),
  };
}

function optionField({ path, label, hint, kind, choices, ...more }, fields) {
  const id = `option-${path.replaceAll(".", "-")}`;
  const told = element("p", { class: "fault", id: `${id}-fault`, role: "alert" });
  const described = { id, "aria-describedby": `${hint ? `${id}-hint ` : ""}${id}-fault` };
  const box = choices
    ? element("select", described, ...choices.map(([value, name]) => element("option", { value }, name)))
    : element("input", { ...described, type: kind === "day" ? "date" : "text", autocomplete: "off", spellcheck: "false", ...more });
  const read = { number: (text) => number(text, path), domains, words }[kind] ?? ((text) => text.trim() || null);
  fields.set(path, { box, fault: told, read: more.scale ? scaled(read, more.scale) : read });
  return element(
    "div",
    {},
    element("label", { for: id }, label),
    box,
    hint ? element("p", { class: "hint", id: `${id}-hint` }, hint) : null,
    told,
  );
}

function scaled(read, scale) {
  return (text) => {
    const value = read(text);
    return value === null ? null : value * scale;
  };
}

function put(wish, path, value) {
  if (value === null || (Array.isArray(value) && value.length === 0)) return;
  const names = path.split(".");
  const last = names.pop();
  let place = wish;
  for (const name of names) place = place[name] ??= {};
  place[last] = value;
}
