// Runs an agent over HTTP as frontends do, with AG-UI's own HttpAgent and a subscriber.
// A question: {url, leave?}; leave: at the first text.
// An answer: what the client has understood when the run is over, {failed}, or {left}.
import { createInterface } from "node:readline";
import { HttpAgent } from "@ag-ui/client";

// by a connection that dies the client rejects a promise of its own, too, that nobody awaits
process.on("unhandledRejection", () => {});

async function run({ url, leave }) {
  const said = { order: [], customs: [], warnings: [] };
  console.warn = (...words) => said.warnings.push(words.join(" "));
  const question = { id: "question", role: "user", content: "the question" };
  const agent = new HttpAgent({ url, initialMessages: [question] });
  const subscriber = {
    onRunStartedEvent: ({ event }) => void (said.start = event),
    onRunFinishedEvent: ({ event }) => void (said.finish = event),
    onRunErrorEvent: ({ event }) => void (said.failed = event.message),
    onTextMessageContentEvent: () => void (leave && agent.abortRun()),
    onTextMessageStartEvent: () => void said.order.push("text"),
    onReasoningStartEvent: () => void said.order.push("reasoning"),
    onToolCallEndEvent: () => void said.order.push("tool"),
    onCustomEvent: ({ event }) => void said.customs.push({ name: event.name, value: event.value }),
  };
  try {
    await agent.runAgent({}, subscriber);
  } catch (error) {
    said.failed = said.failed ?? `${error.message} ${error.cause?.message ?? ""}`;
  }
  if (leave && !said.finish) return { left: true };
  if (!said.finish && said.failed === undefined) said.failed = "the run is incomplete";
  return said.failed === undefined ? { ...said, messages: agent.messages } : said;
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(JSON.stringify(await run(JSON.parse(line))) + "\n");
}
