// Runs one agent several times, as a frontend goes on with its thread.
// A question: {url, runs, add?, resolve?}; add: messages before the next run; resolve: what the run
// before has asked is approved. An answer: what the agent has after each run.
import { createInterface } from "node:readline";
import { HttpAgent, buildResumeArray } from "@ag-ui/client";

async function thread({ url, runs, add, resolve }) {
  const question = { id: "question", role: "user", content: "the question" };
  const agent = new HttpAgent({ url, initialMessages: [question] });
  const kept = [];
  let resume;
  for (let number = 0; number < runs; number++) {
    const said = { warnings: [] };
    console.warn = (...words) => said.warnings.push(words.join(" "));
    const subscriber = {
      onRunStartedEvent: ({ event }) => void (said.started = event),
      onRunFinishedEvent: ({ event }) => void (said.outcome = event.outcome),
      onRunErrorEvent: ({ event }) => void (said.failed = event.message),
    };
    try {
      await agent.runAgent(resume ? { resume } : {}, subscriber);
    } catch (error) {
      said.failed = error.message;
    }
    said.messages = structuredClone(agent.messages);
    said.interrupts = said.outcome?.interrupts ?? [];
    kept.push(said);
    agent.addMessages(add ?? []);
    if (resolve && said.interrupts.length) {
      const answers = said.interrupts.map(({ id }) => [
        id,
        { status: "resolved", payload: { ok: true } },
      ]);
      resume = buildResumeArray(said.interrupts, Object.fromEntries(answers));
    } else {
      resume = undefined;
    }
  }
  return kept;
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(JSON.stringify(await thread(JSON.parse(line))) + "\n");
}
