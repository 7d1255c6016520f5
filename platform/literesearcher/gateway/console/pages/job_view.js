// One job: its question, how it stands, the answer with its sources, each step, and its time drawn. What is shown is
// made of the journal alone, so that it is the same after a reload, on another day, and while the job runs.

import { job as lookUp, Problem, serverNow, stop } from "./api.js";
import { answerView } from "./answer_view.js";
import { announce, element, folded } from "./elements.js";
import { Journal } from "./journal.js";
import { count, day, ENDED, ENDINGS, money, plural, seconds, STATES, ticking } from "./numbers.js";
import { StepsView } from "./steps_view.js";
import { follow } from "./stream.js";
import { line, passage } from "./texts.js";
import { timelineChart } from "./timeline_chart.js";

const LOOK_AGAIN = 4000;

export function jobView({ id, signal, rename }) {
  const journal = new Journal();
  const steps = new StepsView();
  const chart = timelineChart();
  const state = element("span", { class: "state" });
  const elapsed = element("span", { class: "elapsed" });
  const facts = element("p", { class: "facts", id: "facts" });
  const word = element("p", { class: "word" });
  const fault = element("p", { class: "fault", role: "alert" });
  const halt = element("button", { type: "button", class: "stop", hidden: true, onclick: () => stopJob() }, "Stop");
  const again = element("a", { class: "button quiet", href: "#/", hidden: true }, "Ask another");
  const question = element("h1", { class: "question", tabindex: "-1" });
  const answer = element("div");
  const about = folded("About this job", () => aboutJob(told), { hidden: true });
  const stepsPart = section("steps", "Steps", steps.node);
  const timelinePart = section("timeline", "Timeline", chart.node);
  const sections = element(
    "div",
    { hidden: true },
    answer,
    // While it runs, what happens stands above what it took; afterwards the steps are the longer part.
    stepsPart,
    timelinePart,
    about,
  );
  const head = element("div", { class: "status" }, state, elapsed, halt, again);
  const node = element("article", { "aria-labelledby": "question" }, question, head, facts, word, fault, sections);
  question.id = "question";
  let told = null;
  let status = null;
  let drawing = false;

  function section(name, title, body) {
    return element("section", { class: "card", "aria-labelledby": `${name}-title` }, element("h2", { id: `${name}-title` }, title), body);
  }

  async function look() {
    told = await lookUp(id, signal);
    if (!question.hasChildNodes()) {
      question.append(passage(told.input, { most: 600, name: "span", kind: "passage" }));
      rename(null, line(told.input, 60));
    }
    sections.hidden = false;
    about.hidden = false;
    show(told.status);
  }

  function show(next) {
    if (status === next && next !== "queued") return plan();
    if (status !== null && next !== status) announce(`The job is ${(STATES[next] ?? next).toLowerCase()}`);
    status = next;
    state.className = `state ${next}`;
    state.textContent = STATES[next] ?? next;
    halt.hidden = next !== "queued" && next !== "running" && next !== "cancelling";
    halt.disabled = next === "cancelling";
    halt.textContent = next === "cancelling" ? "Stopping…" : "Stop";
    again.hidden = !ENDED.has(next);
    if (next === "queued" && told.queue) {
      const when = told.queue.start_seconds;
      word.textContent = `Place ${told.queue.position} in the queue${when === null ? "" : `; may start in ${ticking(when)}`}.`;
    }
    if (ENDED.has(next)) conclude();
    plan();
  }

  function conclude() {
    const { stop_reason: reason, error, output } = told;
    word.hidden = reason === "answer";
    sections.insertBefore(timelinePart, stepsPart);
    word.textContent = `${ENDINGS[reason] ?? reason}.${error ? ` ${line(error.message, 400)} (${line(error.code, 60)})` : ""}`;
    const languageModel = told.engine === null || told.engine.language_model;
    answer.replaceChildren(...(output ? [answerView({ output, status: told.status, languageModel, shown: reveal })] : []));
  }

  function reveal(seq) {
    const step = journal.stepOf(seq);
    if (step) steps.reveal(step);
  }

  function heard(event) {
    const step = journal.hear(event);
    steps.change(journal.steps, step);
    if (event.object === "research.delta") return;
    if (event.seq === told.last_seq) requestAnimationFrame(() => (steps.catchingUp = false));
    if (event.type === "attempt.started" && status === "queued") show("running");
    if (event.type === "cancel.requested") show("cancelling");
    if (event.type === "job.ended") lookAtLast().catch(refused);
    plan();
  }

  /** Look until the server has answered: one that is away for a while is no reason to give up. */
  async function lookAtLast() {
    for (;;) {
      try {
        await look();
        fault.textContent = "";
        return;
      } catch (problem) {
        if (signal.aborted || !(problem instanceof Problem) || (problem.status >= 400 && problem.status < 500)) throw problem;
        refused(problem);
        await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN));
      }
    }
  }

  function plan() {
    if (drawing) return;
    drawing = true;
    requestAnimationFrame(() => {
      drawing = false;
      draw();
    });
  }

  function draw() {
    if (!told) return;
    const over = journal.ended ?? (told.ended_at ? { at: seconds(told.ended_at) } : null);
    const now = over?.at ?? Math.max(serverNow(), journal.now ?? 0);
    elapsed.textContent = ticking(now - seconds(told.created_at));
    const { sums } = journal;
    const parts = [plural(sums.turns, "turn"), plural(sums.calls, "tool call")];
    if (sums.prompt) parts.push(`${sums.estimated ? "about " : ""}${count(sums.prompt + sums.generated)} tokens (${count(sums.generated)} written)`);
    if (sums.extraction) parts.push(`${count(sums.extraction)} for reading pages`);
    if (sums.cost) parts.push(money(sums.cost));
    facts.textContent = parts.join(" · ");
    facts.title = journal.notes.map((note) => note.words).join("; ");
    if (status === "running") word.textContent = doing(journal);
    chart.draw(journal, now);
  }

  async function stopJob() {
    halt.disabled = true;
    fault.textContent = "";
    try {
      told = { ...told, ...(await stop(id)) };
      show(told.status);
    } catch (problem) {
      halt.disabled = false;
      refused(problem);
    }
  }

  function refused(problem) {
    if (signal.aborted) return;
    if (!(problem instanceof Problem)) throw problem;
    if (problem.status === 404) return gone();
    fault.textContent = line(problem.message, 400);
  }

  function gone() {
    question.replaceChildren(told ? "This job was deleted" : "There is no such job");
    rename(null, "No such job");
    head.hidden = sections.hidden = true;
    facts.textContent = told ? "" : "It may have been deleted, or it is somebody else's.";
    word.hidden = false;
    word.replaceChildren(element("a", { href: "#/jobs" }, "All jobs"));
    fault.textContent = "";
    question.focus();
  }

  function linked(how) {
    node.dataset.link = how;
    if (how === "lost" && !told?.ended_at) fault.textContent = "The connection is lost; trying again.";
    else if (fault.textContent.startsWith("The connection")) fault.textContent = "";
  }

  async function run() {
    try {
      await lookAtLast();
      await follow(id, { signal, heard, linked });
    } catch (problem) {
      refused(problem);
    }
  }

  const clock = setInterval(() => {
    if (told && !ENDED.has(status) && !document.hidden) draw();
  }, 1000);
  const queue = setInterval(() => {
    if (status === "queued" && !document.hidden) look().catch(refused);
  }, LOOK_AGAIN);
  signal.addEventListener("abort", () => {
    clearInterval(clock);
    clearInterval(queue);
  });
  run();
  return { title: "Job", node };
}

/** What happens at this moment, in a line. */
function doing(journal) {
  const step = journal.steps.at(-1);
  if (!step) return "A worker has taken it.";
  if (step.to === null) return `Turn ${step.turn}: the model is ${step.live ? "writing" : "reading"}.`;
  if (!step.tool || step.tool.to !== null) return `Turn ${step.turn} is done.`;
  const targets = step.tool.arguments?.[step.tool.name === "search" ? "query" : "url"];
  const number = Array.isArray(targets) ? targets.length : 1;
  const searching = step.tool.name === "search";
  return `Turn ${step.turn}: ${searching ? "searching" : "reading"} ${plural(number, searching ? "phrase" : "page")}.`;
}

function aboutJob(job) {
  const sources = job.tools ? Object.entries(job.tools.sources).filter(([, value]) => value?.length || typeof value === "number") : [];
  const rows = [
    ["Id", job.id],
    ["Asked", day(job.created_at)],
    ["Started", job.started_at ? day(job.started_at) : "not yet"],
    ["Ends at the latest", day(job.deadline_at)],
    ["Engine", job.engine ? `${job.engine.kind}, ${job.engine.model}` : "none yet"],
    ["Priority", String(job.priority)],
    ["Attempts", String(job.attempt)],
    ["Cache", job.tools?.cache ?? "unknown"],
    ["Sources", sources.map(([name, value]) => `${name.replaceAll("_", " ")}: ${value}`).join("; ") || "all"],
    ...Object.entries(job.metadata).map(([name, value]) => [line(name, 64), String(value)]),
  ];
  return element(
    "dl",
    { class: "about" },
    ...rows.map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", { dir: "auto" }, line(value, 600)))),
  );
}
