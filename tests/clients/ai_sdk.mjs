// Asks an endpoint as useChat does, with the AI SDK's own transport and Chat of version 5, 6 or 7.
// A question: {version, url, text?, leave?, id?, resume?}; text: over the text transport; leave: at
// the first text; id: of the chat; resume: its stream, in place of a question.
// An answer: what the client has understood when the stream is over, or {left}.
import { createInterface } from "node:readline";

class State {
  status = "ready";
  error = undefined;
  messages = [];
  pushMessage = (message) => (this.messages.push(message), this.changed(message));
  popMessage = () => this.messages.pop();
  replaceMessage = (index, message) => {
    this.messages[index] = this.snapshot(message);
    this.changed(message);
  };
  snapshot = (thing) => structuredClone(thing);
  changed = () => {};
}

async function chat({ version, url, text, leave, id, resume }) {
  const { AbstractChat, DefaultChatTransport, TextStreamChatTransport } =
    await import(`ai${version}`);
  class Chat extends AbstractChat {}
  const state = new State();
  const answer = { data: [], calls: [] };
  const Transport = text ? TextStreamChatTransport : DefaultChatTransport;
  const client = new Chat({
    id,
    state,
    transport: new Transport({ api: url }),
    onData: (part) => answer.data.push(structuredClone(part)),
    onToolCall: ({ toolCall }) => void answer.calls.push(toolCall.toolCallId),
    onFinish: ({ isAbort, isDisconnect, isError, finishReason }) =>
      (answer.finish = { isAbort, isDisconnect, isError, finishReason }),
  });
  const hasText = ({ role, parts }) =>
    role === "assistant" && parts.some((part) => part.type === "text" && part.text);
  if (leave) state.changed = (message) => hasText(message) && client.stop();
  if (resume) await client.resumeStream();
  else await client.sendMessage({ text: "the question" });
  if (leave && answer.finish.isAbort) return { left: true };
  const message = state.messages.find((each) => each.role === "assistant") ?? null;
  return { ...answer, status: state.status, error: state.error?.message ?? null, message };
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(JSON.stringify(await chat(JSON.parse(line))) + "\n");
}
