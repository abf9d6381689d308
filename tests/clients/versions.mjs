// Answers each question with itself, and with the version of Node.
import { createInterface } from "node:readline";

for await (const line of createInterface({ input: process.stdin })) {
  const question = JSON.parse(line);
  if (question.die) throw new Error(question.die);
  const answer = { node: process.version, arguments: process.argv.slice(2), question };
  process.stdout.write(JSON.stringify(answer) + "\n");
}
