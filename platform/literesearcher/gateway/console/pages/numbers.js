// Numbers, times and the words of states, for people.

export const ENDINGS = {
  answer: "Answered",
  answer_at_context_limit: "Answered when the context was full",
  context_limit_no_format: "The context was full, and what the model then wrote held no answer",
  exceed_max_turns: "The turns ran out before an answer",
  exceed_max_tool_calls: "The tool calls ran out before an answer",
  exceed_max_tool_cost: "The money for tool calls ran out before an answer",
  budget_spent: "The day's budget for tool calls is spent",
  exceed_max_tokens: "The tokens ran out before an answer",
  timeout: "The time ran out before an answer",
  no_evidence: "Nothing that was found answers the question",
  server_error: "The model server or the tools failed",
  length_limit_exceeded: "The model server refused the prompt as too long",
  internal_error: "The platform itself failed",
  cancelled: "Stopped on request",
};
export const STATES = {
  queued: "Queued",
  running: "Running",
  cancelling: "Stopping",
  completed: "Completed",
  incomplete: "Incomplete",
  failed: "Failed",
  cancelled: "Cancelled",
};
export const ENDED = new Set(["completed", "incomplete", "failed", "cancelled"]);

export function count(number) {
  return Number(number).toLocaleString("en");
}

export function plural(number, noun) {
  return `${count(number)} ${noun}${number === 1 ? "" : "s"}`;
}

export function duration(seconds) {
  if (seconds < 10) return `${Math.max(0, seconds).toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 120) return `${whole} s`;
  if (whole < 7200) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

/** For a clock that runs: whole seconds, so that it does not flicker. */
export function ticking(seconds) {
  return seconds < 10 ? `${Math.max(0, Math.floor(seconds))} s` : duration(Math.floor(seconds));
}

export function money(usd) {
  if (usd === 0) return "0 USD";
  return `${usd < 1 ? Number(usd.toPrecision(2)) : usd.toFixed(2)} USD`;
}

/** Unix seconds of an instant of the API. */
export function seconds(instant) {
  return Date.parse(instant) / 1000;
}

export function day(instant) {
  return new Date(instant).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}
