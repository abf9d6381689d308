/* How each kind of event is shown in the answer of a run. A kind that is not here stands in the
   event log alone; so does one whose payload has another shape, for then its function throws. */

import { Prose, make } from "./prose.js";

export const SHOW = new Map(Object.entries({
  start(run, { model }) {
    if (model) run.foot.append(make("span", { class: "model" }, model));
  },
  text_delta(run, { text = "" }) {
    run.text += text;
    run.part("text", () => new Prose()).add(text);
  },
  reasoning_delta(run, { text = "" }) {
    run.part("reasoning", () => {
      const body = make("p");
      const element = make("details", { class: "reasoning", open: "", "data-testid": "reasoning" },
        make("summary", {}, "Reasoning"), body);
      return { element, body, text: "", finish: () => { element.open = false; },
        draw() { body.append(this.text); this.text = ""; } };
    }).text += text;
  },
  audio_delta(run, { audio, format }) {
    const sound = audio.chunk === undefined ? { chunk: audio, format } : audio;
    const part = run.part("audio", () => ({ element: make("p", { class: "note" }), bytes: 0 }));
    part.bytes += Math.floor(sound.chunk.replace(/=+$/, "").length * 0.75); // base64
    part.element.textContent = `Audio: ${part.bytes} bytes, ${sound.format?.mime ?? "no format"}`;
  },
  tool_call(run, { tool_call: call, tool_name: name, tool_id: id, input }) {
    showTool(run, call ?? { id, name, input }, "input");
  },
  tool_result(run, { tool_result: answer, tool_name: name, tool_id: id, result }) {
    showTool(run, answer ?? { id, name, result }, "result");
  },
  citations(run, { citations }) {
    run.sources ??= make("ol", { class: "sources", "aria-label": "Sources",
      "data-testid": "sources" });
    run.parts.after(run.sources);
    for (const { uri, title } of citations) {
      // Only a web address or a page of the handbook becomes a link: a javascript: one would run here.
      const [, page] = /^gaistream:handbook\/([\w-]+\.md(?:#[\w-]*)?)$/.exec(uri) ?? [];
      const href = page ? `handbook?${page}` : /^https?:/i.test(uri) ? uri : null;
      const link = href ? { href, target: "_blank", rel: "noreferrer" } : {};
      run.sources.append(make("li", {}, make(href ? "a" : "span", { ...link, title: uri },
        make("b", {}, title ?? uri), title ? make("small", {}, page ?? uri) : null)));
    }
  },
  safety(run, { safety: { category, action, score, note = "" } }) {
    run.foot.append(make("span", { class: "safety", title: note, "data-action": action,
      "data-testid": "safety" }, `${category}: ${action} (${score})`));
  },
  finish_step(run, { step, step_number: number }) {
    run.steps = step?.number ?? number;
  },
  finish(run, { usage, finish_reason: reason }) {
    const words = usage ? [`${usage.input_tokens} tokens in`, `${usage.output_tokens} out`] : [];
    if (run.steps > 1) words.push(`${run.steps} steps`);
    if (reason) words.push(reason);
    run.foot.append(make("span", { class: "usage", "data-testid": "usage" }, words.join(" · ")));
  },
  error(run, { error, code, retry_after: seconds }) {
    const more = [code, seconds == null ? null : `try again in ${seconds} s`].filter(Boolean);
    const element = make("p", { class: "error", role: "alert", "data-testid": "error" },
      String(error), make("small", {}, more.join(" · ")));
    run.part(`error ${run.events}`, () => ({ element }));
  },
  raw(run, { raw }) {
    const element = make("p", { class: "note" }, make("code", {}, compact(raw)));
    run.part(`raw ${run.events}`, () => ({ element }));
  },
  done(run) {
    run.end("done");
  },
}));

/** Shows a call and its result in one card, found again by the call's id. */
function showTool(run, said, field) {
  run.tools ??= new Map();
  const key = said.id || said.name;
  if (!run.tools.has(key)) {
    const [input, state] = [make("code"), make("span", {}, "running")];
    const element = make("details", { class: "tool", "data-testid": "tool" },
      make("summary", {}, make("b", {}, said.name), input, state));
    run.tools.set(key, { element, input, state });
    run.part(`tool ${key}`, () => ({ element }));
  }
  const { element, input, state } = run.tools.get(key);
  if (field === "input") input.textContent = compact(said.input);
  else state.textContent = "answered";
  element.append(make("small", {}, field),
    make("pre", {}, JSON.stringify(said[field] ?? null, null, 2)));
}

/** Gives a value as one short line. */
export function compact(value) {
  const text = typeof value === "string" ? value : JSON.stringify(value ?? null);
  return text.length > 160 ? text.slice(0, 160) + "…" : text;
}
