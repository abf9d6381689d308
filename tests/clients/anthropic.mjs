// What Anthropic's client for JavaScript understands of a stream.
// A question: {url, leave?, timeout?}; leave: at the first text.
// An answer: {said}, the message; {left} or {failed}.
import { createInterface } from "node:readline";
import Anthropic from "@anthropic-ai/sdk";

const request = { model: "m", max_tokens: 5, messages: [{ role: "user", content: "Hi" }] };

async function read(client, leave) {
  const stream = client.messages.stream(request);
  if (leave) stream.on("text", () => stream.abort());
  try {
    return { said: await stream.finalMessage() };
  } catch (error) {
    if (leave && error instanceof Anthropic.APIUserAbortError) return { left: true };
    return { failed: `${error.constructor.name}: ${error.message}` };
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const { url, leave, timeout } = JSON.parse(line);
  const client = new Anthropic({ baseURL: url, apiKey: "not-a-key", maxRetries: 0, timeout });
  process.stdout.write(JSON.stringify(await read(client, leave)) + "\n");
}
