// Reads each list of chunks that stands on stdin with eventsource-parser, and writes, as JSON, the
// least nanoseconds an event and whether every event's data was as it should be. Its first argument
// is the folder in which npm has installed the parser.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const require = createRequire(process.argv[2] + "/");
const { createParser } = require("eventsource-parser");
const found = {};
for (const [name, { texts, data: expected, count }] of Object.entries(
  JSON.parse(readFileSync(0, "utf8")),
)) {
  const chunks = texts.map((text) => Buffer.from(text));
  let least = Infinity;
  let right = true;
  for (let round = 0; round < 60; round++) {
    const data = [];
    const decoder = new TextDecoder();
    const start = process.hrtime.bigint();
    const parser = createParser({ onEvent: (event) => data.push(event.data) });
    for (const chunk of chunks) parser.feed(decoder.decode(chunk, { stream: true }));
    least = Math.min(least, Number(process.hrtime.bigint() - start) / data.length);
    right &&= data.length === count && data.every((each) => each === expected);
  }
  found[name] = { ns: least, right };
}
process.stdout.write(JSON.stringify(found));
