/* The demo page: asks by EventSource or by fetch, and shows every event as it arrives.

   Read top to bottom: a run (one question, its stream and its figures), the painting, which happens
   once a frame, the history, and the controls. The transports are in wire.js, the looks of each kind
   of event in show.js, those of text in prose.js. Text from the wire never becomes markup: it enters
   the page as text nodes only.

   The page stays usable however fast events arrive. They wait in a queue, of which a slice of a few
   milliseconds is handled at a time, and a frame builds only the rows of the log that it shows. */

import { Prose, copyButton, make } from "./prose.js";
import { SHOW, compact } from "./show.js";
import { openFetch, openSSE } from "./wire.js";

const $ = (id) => document.getElementById(id);
const LOG_ROWS = 200;
const FRAMES = 100; // raw frames that are kept
const LONGEST_FRAME = 4000; // characters of a frame that are shown
const FRAME_ROWS = 25; // of the log, built in one frame
const SLICE = 8; // milliseconds of work on the queue until the browser gets its turn
const LONGEST_HISTORY = 15_000; // characters of earlier turns that are sent with a question
const STORE = "gaistream demo";
const history = []; // the turns so far: what a POST sends with each question, and a reload shows
let run = null;

class Run {
  constructor(question, mode, dialect) {
    Object.assign(this, { question, mode, dialect, events: 0, received: 0, beats: 0, lastId: "", text: "" });
    this.rows = []; // of the log, not painted yet
    this.frames = []; // on the wire, not painted yet
    this.framed = 0; // frames that have come
    this.unlogged = 0; // rows that are shown no longer, or never were
    this.undrawn = []; // parts that are whole but perhaps not drawn to their end
    this.queue = []; // steps to take, in the order in which they arrived
    this.parts = make("div", { class: "parts" });
    this.foot = make("footer");
    this.answer = make("article", { class: "answer", "aria-label": "Answer", "aria-busy": "true",
      "data-testid": "answer" }, this.parts, this.foot);
    $("transcript").append(make("p", { class: "question" }, question), this.answer);
    this.sent = performance.now();
    this.state("connecting", "connecting…");
    this.close = mode === "sse" ? openSSE(this)
      : openFetch(this, [...recent(), { role: "user", content: question }]);
  }

  /** Takes a step, such as an event, after those that have arrived before it. */
  then(step) {
    this.queue.push(step);
    if (this.queue.length === 1) setTimeout(() => this.work());
  }

  work() {
    const end = document.hidden ? Infinity : performance.now() + SLICE;
    let taken = 0;
    while (taken < this.queue.length && !this.over && performance.now() < end) {
      this.queue[taken++]();
    }
    this.queue = this.over ? [] : this.queue.slice(taken);
    if (this.queue.length) setTimeout(() => this.work());
  }

  /** Shows a state; the first three are those of a stream that runs. */
  state(state, words) {
    for (const each of [this.answer, $("status"), document.body]) each.dataset.state = state;
    $("status").textContent = words;
    this.over = !["connecting", "streaming", "reconnecting"].includes(state);
    this.log("", "", "page", words);
    paintSoon();
  }

  log(name, id, kind, words) {
    const at = `${Math.round(performance.now() - this.sent)} ms`;
    this.rows.push({ name, id, kind, words, at });
    if (this.rows.length <= LOG_ROWS) return;
    this.rows.shift();
    this.unlogged++;
  }

  /** Takes a frame as it is on the wire, which stands beside the answer. */
  frame(text) {
    this.framed++;
    this.frames.push(text.length > LONGEST_FRAME ? `${text.slice(0, LONGEST_FRAME)}…` : text);
    if (this.frames.length > FRAMES) this.frames.shift();
    paintSoon();
  }

  open() {
    if (this.over) return;
    this.state("streaming", this.opened ? "reconnected, streaming" : "open, streaming");
    this.opened = true;
  }

  event(kind, payload) {
    if (this.over) return;
    this.pulse = kind === "ping" ? "heartbeat" : "event";
    this.log(kind, this.lastId, kind, payload);
    paintSoon();
    if (kind === "ping") return void this.beats++;
    this.last = performance.now();
    this.first ??= this.last;
    this.events++;
    if (/^(text|reasoning|audio)_delta$/.test(kind)) this.token ??= this.last;
    this.error = kind === "error"; // with more events after it, it was a report and not the end
    try {
      SHOW.get(kind)?.(this, payload);
    } catch (problem) {
      console.error(problem); // a payload of another shape than ours: it stands in the log
    }
  }

  /** The connection broke, and EventSource opens it again by itself. */
  lost() {
    if (this.over) return;
    if (this.error) return this.closed(); // the server said why it ends: no second try
    this.tries = (this.tries ?? 0) + 1;
    const what = this.opened ? "connection lost, reconnecting…" : "no connection, trying again…";
    this.state("reconnecting", this.tries > 1 ? `${what} (try ${this.tries})` : what);
  }

  /** EventSource gave up. It does not tell the status; to a Last-Event-ID this server says 204. */
  refused() {
    if (this.lastId) {
      this.end("cut", `The connection was lost after id ${this.lastId}, and the server did not ` +
        "begin again, for that would pay twice. This answer is cut.",
      "server ended the stream (204)");
    } else {
      this.end("failed", "The server refused. EventSource does not tell why; fetch would.");
    }
  }

  /** fetch failed: the browser tells in its own words why. */
  broke(reason) {
    if (this.opened) this.end("cut", `The connection was lost (${reason}). This answer is cut.`);
    else this.end("failed", `No connection (${reason}).`);
  }

  /** The stream ended without `done`. */
  closed() {
    if (this.error) this.end("failed", "The server ended the answer with this error.");
    else this.end("cut", "The stream ended without “done”. This answer is cut.");
  }

  end(state, verdict, words = state) {
    if (this.over) return;
    this.state(state, words);
    // NDJSON ends by itself after `done`; to abort it would look like a client that left.
    if (state !== "done" || this.mode === "sse") this.close();
    for (const { state: said } of this.tools?.values() ?? []) {
      if (said.textContent === "running") said.textContent = "no result";
    }
    if (verdict) {
      const again = make("button", { type: "button" }, "Ask again");
      again.addEventListener("click", () => ask(this.question));
      this.foot.before(make("p", { class: "verdict", "data-testid": "verdict" }, verdict, again));
    }
    if (this.text && (state === "done" || state === "stopped")) {
      remember({ role: "user", content: this.question }, { role: "assistant", content: this.text });
      this.foot.append(copyButton("Copy answer", () => this.text));
    }
    paint();
    setControls();
  }

  /** Gives the part of this kind that is being written, or begins one below it. */
  part(kind, begin) {
    if (this.current?.kind !== kind) {
      if (this.current?.draw) this.undrawn.push(this.current);
      this.current = Object.assign(begin(), { kind });
      this.parts.append(this.current.element);
    }
    return this.current;
  }
}

// ---- painting: once a frame, however many events arrive ----

let frame = 0;
let pulsed = 0; // when the dot pulsed last
const scrolled = [$("transcript"), $("log"), $("frames")];

for (const list of scrolled) {
  // It follows what arrives, but a reader who scrolls up is left there.
  Object.assign(list, { follows: true, was: 0 });
  list.addEventListener("scroll", () => {
    if (list.scrollHeight - list.scrollTop - list.clientHeight < 40) list.follows = true;
    else if (list.scrollTop < list.was) list.follows = false;
    list.was = list.scrollTop;
  });
}

function paintSoon() {
  frame ||= requestAnimationFrame(paint);
}

function paint() {
  cancelAnimationFrame(frame);
  frame = 0;
  paintLog();
  paintFrames();
  drawParts();
  paintFigures();
  if (run.pulse) pulse(run.pulse === "heartbeat");
  run.pulse = null;
  for (const list of scrolled) if (list.follows) list.scrollTop = list.scrollHeight;
}

function drawParts() {
  if (run.over && run.current?.draw) run.undrawn.push(run.current);
  if (run.over) run.current = null;
  while (run.undrawn.length && !run.undrawn[0].draw()) run.undrawn.shift().finish();
  if (run.undrawn.length || run.current?.draw?.()) paintSoon();
  else if (run.over && !run.rows.length && !run.frames.length) run.answer.setAttribute("aria-busy", "false");
}

function paintLog() {
  $("log").append(...run.rows.splice(0, FRAME_ROWS).map(({ name, id, kind, words, at }) => make("li", { "data-kind": name },
    make("i", {}, id), make("b", {}, kind), make("code", {}, compact(words)),
    make("time", {}, at))));
  if (run.rows.length) paintSoon();
  for (let more = $("log").childElementCount - LOG_ROWS; more > 0; more--, run.unlogged++) {
    $("log").firstChild.remove();
  }
  $("dropped").hidden = !run.unlogged;
  $("dropped").textContent = `${run.unlogged.toLocaleString("en")} earlier rows are not shown.`;
}

function paintFrames() {
  $("frames").append(...run.frames.splice(0, FRAME_ROWS).map((text) => make("li", {},
    make("code", {}, text))));
  if (run.frames.length) paintSoon();
  while ($("frames").childElementCount > FRAMES) $("frames").firstChild.remove();
  $("framed").textContent = run.framed > FRAMES
    ? `the last ${FRAMES} of ${run.framed.toLocaleString("en")}` : "";
}

function paintFigures() {
  const whole = (value) => Math.round(value).toLocaleString("en");
  const seconds = (run.last - run.first) / 1000;
  $("ttft").textContent = run.token ? `${whole(run.token - run.sent)} ms` : "–";
  // Events that came all at once have no rate, but a lower bound.
  $("rate").textContent = !run.events ? "–"
    : seconds < 0.05 ? `≥ ${whole(run.events / 0.05)}` : whole(run.events / seconds);
  $("events").textContent = whole(run.events);
  $("received").textContent = `${whole(run.received)} ${run.mode === "sse" ? "chars" : "bytes"}`;
  $("last-id").textContent = run.lastId || "none";
  $("heartbeats").textContent = run.mode === "sse" ? "hidden" : run.beats;
}

function pulse(heartbeat) {
  const now = performance.now();
  if (now - pulsed < 100) return;
  pulsed = now;
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
  const [size, duration] = heartbeat ? ["14px", 1400] : ["5px", 350];
  $("dot").animate({ boxShadow: ["0 0 0 0 currentColor", `0 0 0 ${size} transparent`] }, duration);
}

// ---- history: it survives a reload, in this tab ----

function remember(...turns) {
  history.push(...turns);
  try {
    sessionStorage.setItem(STORE, JSON.stringify(history));
  } catch {
    // full, or refused by the browser's settings: the conversation lasts until the reload
  }
}

/** Returns the latest turns that fit into a request. */
function recent() {
  let length = 0;
  const first = history.findLastIndex((turn) => (length += turn.content.length) > LONGEST_HISTORY);
  return history.slice(first + 1);
}

function recall() {
  let stored = [];
  try {
    stored = JSON.parse(sessionStorage.getItem(STORE) ?? "[]");
  } catch {
    // as above
  }
  for (const turn of stored) {
    history.push(turn);
    $("welcome")?.remove();
    if (turn.role === "user") {
      $("transcript").append(make("p", { class: "question" }, turn.content));
    } else {
      const prose = new Prose();
      prose.add(turn.content);
      prose.finish();
      $("transcript").append(make("article", { class: "answer", "aria-label": "Answer",
        "data-state": "done", "data-testid": "recalled" }, prose.element,
      make("footer", {}, copyButton("Copy answer", () => turn.content))));
    }
  }
  $("transcript").scrollTop = $("transcript").scrollHeight;
}

function forget() {
  try {
    sessionStorage.removeItem(STORE);
  } catch {
    // nothing was stored
  }
}

// ---- controls ----

const mode = () => document.querySelector("[name=mode]:checked").value;
const dialect = () => $("dialect").value;
const running = () => run !== null && !run.over;

function ask(question) {
  if (!question.trim() || running()) return;
  $("welcome")?.remove();
  $("log").replaceChildren();
  $("frames").replaceChildren();
  for (const list of scrolled) list.follows = true;
  run = new Run(question.trim(), mode(), dialect());
  setControls();
}

function stop() {
  if (running()) run.end("stopped", "Stopped. The connection is closed, which ends the producer.");
}

function setControls() {
  const focused = document.activeElement;
  $("send").hidden = running();
  $("stop").hidden = !running();
  if (focused?.hidden) $("question").focus(); // the focus does not get lost with its button
}

function explain() {
  $("hint").textContent = mode() === "sse"
    ? "GET /chat, read by EventSource, which reconnects by itself. It hides heartbeats from the " +
      "page: the dot shows whether the connection is open, and pulses with the events."
    : `POST /api/chat${dialect() === "gai" ? "" : `/${dialect()}`} with the whole conversation, ` +
      "read by fetch. After five idle seconds a heartbeat arrives, and the dot pulses slowly. " +
      "A lost connection is not opened again.";
  $("format").textContent = dialect() === "gai" ? "(NDJSON)" : "(SSE)";
  $("raw").hidden = mode() === "sse"; // which EventSource does not show
}

/** EventSource reads our own protocol; all others are read by fetch. */
function switched(event) {
  if (event.target === $("dialect")) {
    if (running()) run.end("stopped", "Stopped, for another protocol was chosen.");
    if (dialect() !== "gai") document.querySelector("[name=mode][value=ndjson]").checked = true;
  } else if (mode() === "sse") {
    $("dialect").value = "gai";
  }
  explain();
}

$("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  if (running()) return;
  ask($("question").value);
  $("question").value = "";
});
$("send").disabled = false; // before, the form would have reloaded the page
$("question").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  $("composer").requestSubmit();
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") stop();
});
$("stop").addEventListener("click", stop);
$("modes").addEventListener("change", switched);
$("dialect").addEventListener("change", switched);
$("examples").addEventListener("click", (event) => {
  if (event.target.matches("button")) ask(event.target.textContent);
});
document.addEventListener("click", (event) => {
  if (event.target.matches(".new")) forget();
});
explain();
recall();
