// What OpenAI's client for JavaScript understands of a stream of the Responses protocol.
// A question: {url, api, leave?, timeout?}; api: "create" or "stream"; leave: at the first text.
// An answer: {said}, the events of `create` or the response of `stream`; {left} or {failed}.
import { createInterface } from "node:readline";
import OpenAI from "openai";

const request = { model: "m", input: "Hi" };

async function byEvents(responses, leave) {
  const events = [];
  for await (const event of await responses.create({ ...request, stream: true })) {
    events.push(event);
    if (leave && event.type === "response.output_text.delta") return { left: true }; // closes it
  }
  return { said: events };
}

async function byStream(responses, leave) {
  const stream = responses.stream(request);
  if (leave) stream.on("response.output_text.delta", () => stream.abort());
  try {
    return { said: await stream.finalResponse() };
  } catch (error) {
    if (leave && error instanceof OpenAI.APIUserAbortError) return { left: true };
    throw error;
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const { url, api, leave, timeout } = JSON.parse(line);
  const client = new OpenAI({ baseURL: url, apiKey: "not-a-key", maxRetries: 0, timeout });
  const read = api === "stream" ? byStream : byEvents;
  const answer = await read(client.responses, leave).catch((error) => ({
    failed: `${error.constructor.name}: ${error.message}`,
  }));
  process.stdout.write(JSON.stringify(answer) + "\n");
}
