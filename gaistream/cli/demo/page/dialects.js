/* The protocols of vendors, as far as the page shows them. A reader gets the blocks of one stream of
   Server-Sent Events, and gives each as events of the kinds that show.js knows, `[kind, payload]`. */

const READERS = { gai_events_v1, openai_chat, openai_responses, anthropic, ai_sdk, ag_ui };

/** Returns a function that reads the blocks of one stream. */
export function readerOf(dialect) {
  const read = READERS[dialect]();
  let failed = false;
  const given = (events) => {
    failed ||= events.some(([kind]) => kind === "error");
    return failed ? events.filter(([kind]) => kind !== "done") : events; // an end, but no success
  };
  return (block) => {
    const data = block.split("\n").filter((line) => line.startsWith("data:"))
      .map((line) => line.slice(line[5] === " " ? 6 : 5)).join("\n");
    if (!data) return block.startsWith(":") ? [["ping", {}]] : [];
    if (data === "[DONE]") return given([["done", {}]]);
    try {
      return given([...read(JSON.parse(data))]);
    } catch (problem) {
      console.error(problem); // it stands among the raw frames
      return [];
    }
  };
}

const text = (text) => ["text_delta", { text }];
const reasoning = (text) => ["reasoning_delta", { text }];
const call = (id, name, input) => ["tool_call", { tool_call: { id, name, input } }];
const answered = (id, name, result) => ["tool_result", { tool_result: { id, name, result } }];
const source = (uri, title) => ["citations", { citations: [{ uri, title }] }];
const finish = (input, output, reason) => ["finish", {
  usage: input == null ? null : { input_tokens: input, output_tokens: output },
  finish_reason: reason,
}];
const error = (message, code) => ["error", { error: message ?? "unknown error", code }];

function parsed(json) {
  try {
    return JSON.parse(json);
  } catch {
    return json;
  }
}

function gai_events_v1() {
  const names = { "text.delta": "text_delta", "reasoning.delta": "reasoning_delta",
    "step.end": "finish_step" };
  return function* ({ type, ...rest }) {
    if (type === "error") yield error(rest.error.message, rest.error.code);
    else if (type === "tool.call") yield call(rest.call_id, rest.tool_call.name, rest.tool_call.input);
    else if (type === "tool.result") yield answered(rest.call_id, rest.name, rest.tool_result);
    else yield [names[type] ?? type, rest];
  };
}

function openai_chat() {
  const calls = [];
  let reason;
  return function* ({ model, choices = [], usage, error: failed }) {
    if (failed) yield error(failed.message, failed.code ?? failed.type);
    const [{ delta = {}, finish_reason: said } = {}] = choices;
    if (delta.role && model) yield ["start", { model }];
    if (delta.reasoning_content) yield reasoning(delta.reasoning_content);
    if (delta.content) yield text(delta.content);
    for (const { url_citation: { url, title } } of delta.annotations ?? []) yield source(url, title);
    for (const { index, id, function: { name, arguments: piece = "" } } of delta.tool_calls ?? []) {
      calls[index] ??= { id, name, input: "" };
      calls[index].input += piece;
    }
    if (said) {
      reason = said;
      for (const each of calls) yield call(each.id, each.name, parsed(each.input));
      calls.length = 0;
    }
    if (said && !usage) yield ["finish_step", { step_number: 1 }];
    if (usage) yield finish(usage.prompt_tokens, usage.completion_tokens, reason);
  };
}

function openai_responses() {
  return function* ({ type, delta, item, annotation, response, message, code }) {
    if (type === "response.created" && response.model) yield ["start", { model: response.model }];
    if (type === "response.output_text.delta") yield text(delta);
    if (type === "response.reasoning_summary_text.delta") yield reasoning(delta);
    if (type === "response.output_text.annotation.added") yield source(annotation.url, annotation.title);
    if (type === "response.output_item.done" && item.type === "function_call") {
      yield call(item.call_id, item.name, parsed(item.arguments));
    }
    if (type === "response.output_item.done" && item.type === "function_call_output") {
      yield answered(item.call_id, "", parsed(item.output));
    }
    if (type === "error") yield error(message, code);
    if (type === "response.completed" || type === "response.incomplete") {
      const { usage, incomplete_details: why } = response;
      yield finish(usage?.input_tokens, usage?.output_tokens, why?.reason ?? "stop");
    }
  };
}

function anthropic() {
  const blocks = [];
  let input = 0;
  return function* ({ type, index, message, content_block: block, delta, usage, error: failed }) {
    if (type === "ping") yield ["ping", {}];
    if (type === "error") yield error(failed.message, failed.type);
    if (type === "message_start") {
      input = message.usage?.input_tokens ?? 0;
      if (message.model) yield ["start", { model: message.model }];
    }
    if (type === "content_block_start") {
      blocks[index] = { ...block, json: "" };
      if (block.type.endsWith("_tool_result")) yield answered(block.tool_use_id, "", block.content);
    }
    if (delta?.type === "text_delta") yield text(delta.text);
    if (delta?.type === "thinking_delta") yield reasoning(delta.thinking);
    if (delta?.type === "input_json_delta") blocks[index].json += delta.partial_json;
    if (delta?.type === "citations_delta") yield source(delta.citation.url, delta.citation.title);
    if (type === "content_block_stop" && blocks[index].type.endsWith("tool_use")) {
      const { id, name, json } = blocks[index];
      yield call(id, name, parsed(json || "{}"));
    }
    if (type === "message_delta") {
      yield finish(usage?.input_tokens || input, usage?.output_tokens ?? 0, delta.stop_reason);
    }
    if (type === "message_stop") yield ["done", {}];
  };
}

function ai_sdk() {
  return function* ({ type, ...rest }) {
    const model = rest.messageMetadata?.model;
    if (type === "start" && model) yield ["start", { model }];
    if (type === "text-delta") yield text(rest.delta);
    if (type === "reasoning-delta") yield reasoning(rest.delta);
    if (type === "tool-input-available") yield call(rest.toolCallId, rest.toolName, rest.input);
    if (type === "tool-output-available") yield answered(rest.toolCallId, "", rest.output);
    if (type === "source-url") yield source(rest.url, rest.title);
    if (type === "error") yield error(rest.errorText);
    if (type === "finish") {
      const { usage } = rest.messageMetadata ?? {};
      yield finish(usage?.inputTokens, usage?.outputTokens, rest.finishReason);
    }
  };
}

function ag_ui() {
  const calls = new Map();
  return function* ({ type, delta, toolCallId: id, ...rest }) {
    if (type === "RUN_STARTED" && rest.metadata?.model) yield ["start", rest.metadata];
    if (type === "TEXT_MESSAGE_CONTENT") yield text(delta);
    if (type === "REASONING_MESSAGE_CONTENT") yield reasoning(delta);
    if (type === "TOOL_CALL_START") calls.set(id, { name: rest.toolCallName, input: "" });
    if (type === "TOOL_CALL_ARGS") calls.get(id).input += delta;
    if (type === "TOOL_CALL_END") yield call(id, calls.get(id).name, parsed(calls.get(id).input));
    if (type === "TOOL_CALL_RESULT") yield answered(id, calls.get(id)?.name, parsed(rest.content));
    if (type === "CUSTOM" && rest.name === "gaistream.citations") yield ["citations", rest.value];
    if (type === "RUN_ERROR") yield error(rest.message, rest.code);
    if (type === "RUN_FINISHED") {
      const usage = rest.metadata?.usage ?? rest.usage?.[0];
      yield finish(usage?.input_tokens ?? usage?.inputTokens,
        usage?.output_tokens ?? usage?.outputTokens, "stop");
      yield ["done", {}];
    }
  };
}
