// What OpenAI's client for JavaScript understands of a stream: {url, model, api} -> {said} or {error}.
import { createInterface } from "node:readline";
import OpenAI from "openai";

const countsOf = (usage) =>
  usage && [
    usage.prompt_tokens, usage.completion_tokens, usage.total_tokens,
    usage.prompt_tokens_details?.cached_tokens ?? 0,
    usage.prompt_tokens_details?.cache_write_tokens ?? 0,
    usage.completion_tokens_details?.reasoning_tokens ?? 0,
  ];

async function byChunks(client, request) {
  const said = { text: "", reasoning: "", signatures: [], calls: [], citations: [] };
  for await (const chunk of await client.chat.completions.create({ ...request, stream: true })) {
    said.id = chunk.id;
    said.model = chunk.model;
    said.usage = countsOf(chunk.usage) ?? said.usage;
    for (const { delta, finish_reason } of chunk.choices) {
      said.finish_reason = finish_reason;
      said.text += delta.content ?? "";
      said.reasoning += delta.reasoning_content ?? "";
      said.signatures.push(...(delta.reasoning_details ?? []).map((each) => each.signature));
      said.citations.push(...(delta.annotations ?? []).map((each) => each.url_citation));
      for (const call of delta.tool_calls ?? []) {
        said.calls[call.index] ??= { id: call.id, name: call.function.name, text: "" };
        said.calls[call.index].text += call.function.arguments;
      }
    }
  }
  return said;
}

async function byStream(client, request) {
  const whole = await client.chat.completions.stream(request).finalChatCompletion();
  const [{ message, finish_reason }] = whole.choices;
  const calls = (message.tool_calls ?? []).map((call) => ({
    id: call.id, name: call.function.name, text: call.function.arguments,
  }));
  return {
    id: whole.id, model: whole.model, text: message.content ?? "", calls, finish_reason,
    usage: countsOf(whole.usage),
  };
}

for await (const line of createInterface({ input: process.stdin })) {
  const { url, model, api } = JSON.parse(line);
  const client = new OpenAI({ baseURL: url, apiKey: "not-a-key", maxRetries: 0 });
  const request = { model, messages: [{ role: "user", content: "Hi" }] };
  let answer;
  try {
    answer = { said: await (api === "stream" ? byStream : byChunks)(client, request) };
  } catch (error) {
    answer = { error: error.constructor.name, message: String(error.message) };
  }
  process.stdout.write(JSON.stringify(answer) + "\n");
}
