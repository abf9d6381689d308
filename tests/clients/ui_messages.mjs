// Builds messages of chunks by readUIMessageStream of the AI SDK 5, 6 or 7.
// A question: {version, streams}, of lists of chunks. An answer: the last message of each, or null.
import { createInterface } from "node:readline";

async function build(readUIMessageStream, chunks) {
  let last = null;
  const stream = ReadableStream.from(chunks);
  for await (const message of readUIMessageStream({ stream, onError: () => {} })) last = message;
  return last;
}

for await (const line of createInterface({ input: process.stdin })) {
  const { version, streams } = JSON.parse(line);
  const { readUIMessageStream } = await import(`ai${version}`);
  const messages = [];
  for (const chunks of streams) messages.push(await build(readUIMessageStream, chunks));
  process.stdout.write(JSON.stringify(messages) + "\n");
}
