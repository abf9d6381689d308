// What Anthropic's client for JavaScript understands of a stream: {url} -> {message} or {error}.
import { createInterface } from "node:readline";
import Anthropic from "@anthropic-ai/sdk";

for await (const line of createInterface({ input: process.stdin })) {
  const { url, request } = JSON.parse(line);
  const client = new Anthropic({ baseURL: url, apiKey: "not-a-key", maxRetries: 0 });
  let answer;
  try {
    answer = { message: await client.messages.stream(request).finalMessage() };
  } catch (error) {
    answer = { error: error.constructor.name, message: String(error.message) };
  }
  process.stdout.write(JSON.stringify(answer) + "\n");
}
