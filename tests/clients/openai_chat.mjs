// What OpenAI's client for JavaScript understands of a stream.
// A question: {url, api, leave?, timeout?}; api: "create" or "stream"; leave: at the first text.
// An answer: {said}, the chunks of `create` or the completion of `stream`; {left} or {failed}.
import { createInterface } from "node:readline";
import OpenAI from "openai";

const request = { model: "m", messages: [{ role: "user", content: "Hi" }] };

async function byChunks(completions, leave) {
  const chunks = [];
  for await (const chunk of await completions.create({ ...request, stream: true })) {
    chunks.push(chunk);
    if (leave && chunk.choices[0].delta.content) return { left: true }; // which closes the stream
  }
  return { said: chunks };
}

async function byStream(completions, leave) {
  const stream = completions.stream(request);
  if (leave) stream.on("content", () => stream.abort());
  try {
    return { said: await stream.finalChatCompletion() };
  } catch (error) {
    if (leave && error instanceof OpenAI.APIUserAbortError) return { left: true };
    throw error;
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const { url, api, leave, timeout } = JSON.parse(line);
  const client = new OpenAI({ baseURL: url, apiKey: "not-a-key", maxRetries: 0, timeout });
  const read = api === "stream" ? byStream : byChunks;
  const answer = await read(client.chat.completions, leave).catch((error) => ({
    failed: `${error.constructor.name}: ${error.message}`,
  }));
  process.stdout.write(JSON.stringify(answer) + "\n");
}
