// Asks an endpoint as useChat does, with the AI SDK's own transport and Chat of version 5, 6 or 7.
// A question: {version, url, text?}; text: over the text transport.
// An answer: what the client has understood when the stream is over.
import { createInterface } from "node:readline";

const packages = { 5: await import("ai5"), 6: await import("ai6"), 7: await import("ai7") };

class State {
  status = "ready";
  error = undefined;
  messages = [];
  pushMessage = (message) => this.messages.push(message);
  popMessage = () => this.messages.pop();
  replaceMessage = (index, message) => (this.messages[index] = this.snapshot(message));
  snapshot = (thing) => structuredClone(thing);
}

async function chat({ version, url, text }) {
  const { AbstractChat, DefaultChatTransport, TextStreamChatTransport } = packages[version];
  class Chat extends AbstractChat {}
  const state = new State();
  const answer = { data: [], calls: [] };
  const Transport = text ? TextStreamChatTransport : DefaultChatTransport;
  const client = new Chat({
    state,
    transport: new Transport({ api: url }),
    onData: (part) => answer.data.push(structuredClone(part)),
    onToolCall: ({ toolCall }) => void answer.calls.push(toolCall.toolCallId),
    onFinish: ({ isAbort, isDisconnect, isError, finishReason }) =>
      (answer.finish = { isAbort, isDisconnect, isError, finishReason }),
  });
  await client.sendMessage({ text: "the question" });
  const message = state.messages.find((each) => each.role === "assistant") ?? null;
  return { ...answer, status: state.status, error: state.error?.message ?? null, message };
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(JSON.stringify(await chat(JSON.parse(line))) + "\n");
}
