// A job as its journal tells it: events go in, in order; steps (a turn and its tool call), sums and the end come out.
// Knows nothing of the page.

import { seconds } from "./numbers.js";
import { readTurn } from "./turn_text.js";

const points = (text) => {
  let length = 0;
  for (const _ of text) length += 1;
  return length;
};

export class Journal {
  constructor() {
    this.steps = [];
    this.notes = [];
    this.created = null;
    this.attempts = [];
    this.ended = null;
    this.sums = { turns: 0, calls: 0, prompt: 0, cached: 0, generated: 0, cost: 0 };
    this.now = null;
  }

  /** Take an event or a piece of live text; the step that changed, or null. */
  hear(event) {
    if (event.object === "research.delta") return this.#live(event);
    const at = seconds(event.at);
    this.now = at;
    const data = event.data;
    switch (event.type) {
      case "job.created":
        this.created = { at, ...data };
        return null;
      case "attempt.started":
        this.attempts.push({ at, number: event.attempt, ...data });
        if (event.attempt > 1) this.#note(at, `Taken up again by another worker (attempt ${event.attempt})`);
        return null;
      case "turn.started":
        return this.#turnStarted(at, data);
      case "turn.completed":
        return this.#turnCompleted(at, data);
      case "tool.started":
        return this.#changed(data.turn, (step) => {
          step.tool = { name: data.name, arguments: data.arguments, from: at, to: null, items: [] };
        });
      case "tool.completed":
        return this.#toolCompleted(at, event.seq, data);
      case "effect.unknown":
        return this.#note(at, "Interrupted before its result was saved; done again", data.turn);
      case "effect.failed":
        return this.#note(at, `Failed for good: ${data.message} (${data.code})`, data.turn);
      case "budget.reached":
        return this.#note(at, data.message, data.turn);
      case "cancel.requested":
        return this.#note(at, "Stop was asked for");
      case "deadline.reached":
        return this.#note(at, "The job's time is over");
      case "job.ended":
        this.ended = { at, ...data };
        this.#end(data.usage, at);
        return this.steps.at(-1) ?? null;
      default:
        return null;
    }
  }

  /** The step in which an event was written, or null. */
  stepOf(seq) {
    return this.steps.find((step) => step.tool?.seq === seq) ?? null;
  }

  #turnStarted(at, data) {
    let step = this.steps.at(-1);
    if (!step || step.turn !== data.turn || step.kind !== data.kind) {
      step = { number: this.steps.length, turn: data.turn, kind: data.kind, from: at, notes: [] };
      this.steps.push(step);
    }
    Object.assign(step, { from: at, to: null, expected: data.prompt_tokens, live: null, text: null, thought: "" });
    return step;
  }

  #turnCompleted(at, data) {
    this.sums.turns += data.kind === "compress" ? 0 : 1;
    this.sums.prompt += data.usage.prompt_tokens;
    this.sums.cached += data.usage.cached_tokens ?? 0;
    this.sums.generated += data.usage.completion_tokens;
    return this.#changed(data.turn, (step) => {
      const { thought, said } = readTurn(data.text, data.opened_thought);
      const { usage, finish_reason: finish, tries, replica, text } = data;
      Object.assign(step, { to: at, live: null, text, thought, said, usage, finish, tries, replica });
    });
  }

  #toolCompleted(at, seq, data) {
    if (data.called) this.sums.calls += 1;
    this.sums.cost += data.cost_usd ?? 0;
    return this.#changed(data.turn, (step) => {
      const from = step.tool?.from ?? at;
      const { name, text, items, called, cost_usd: cost, repeats_seq: repeats } = data;
      step.tool = { name, arguments: data.arguments, from, to: at, seq, text, items: items ?? [], called, cost, repeats };
    });
  }

  #live(event) {
    const step = this.steps.at(-1);
    if (!step || step.turn !== event.turn || step.to !== null) return null;
    if (event.type === "turn.restarted") step.live = null;
    else if (event.offset === 0) step.live = { text: event.text, points: points(event.text) };
    else if (step.live?.points === event.offset) {
      step.live.text += event.text;
      step.live.points += points(event.text);
    } else return null;
    return step;
  }

  #changed(turn, change) {
    const step = this.steps.findLast((one) => one.turn === turn) ?? null;
    if (step) change(step);
    return step;
  }

  #note(at, words, turn) {
    const step = turn ? this.steps.findLast((one) => one.turn === turn) : null;
    (step ?? this).notes.push({ at, words });
    return step ?? null;
  }

  #end(usage, at) {
    this.sums = {
      turns: usage.turns,
      calls: usage.tool_calls,
      prompt: usage.prompt_tokens,
      cached: usage.cached_tokens,
      generated: usage.completion_tokens,
      cost: usage.tool_cost_usd,
      extraction: usage.extraction_tokens,
      estimated: usage.estimated_turns,
    };
    for (const step of this.steps) {
      if (step.to === null) Object.assign(step, { to: at, cut: true, live: null });
      if (step.tool && step.tool.to === null) Object.assign(step.tool, { to: at, cut: true });
    }
  }
}
