/* Text that arrives in pieces, shown as light Markdown: paragraphs, headings, lists, tables, code.
   It builds elements and text nodes, never markup, so an answer cannot bring code into the page. */

export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children.filter((child) => child != null));
  return element;
}

export class Prose {
  element = make("div", { class: "prose", "data-testid": "answer-text" });
  rest = "";
  nodes = [];

  add(text) {
    this.rest += text;
  }

  /** Draws ended blocks for good and only the last one anew, so that a long answer stays cheap. */
  draw() {
    for (let size; (size = blockSize(this.rest)) > 0; this.rest = this.rest.slice(size)) {
      this.put(this.rest.slice(0, size));
      this.nodes = [];
    }
    this.put(this.rest);
  }

  put(block) {
    for (const node of this.nodes) node.remove();
    this.nodes = block.trim() ? blockNodes(block.replace(/^\n+/, "").trimEnd()) : [];
    this.element.append(...this.nodes);
  }
}

/** Gives the length of the first block if it has ended: at a blank line, or where a fence does. */
function blockSize(text) {
  const end = /^\s*```/.test(text) ? /^\s*```[^]*?\n```[^\n]*\n/ : /^\s*\S[^]*?\n(?=[ \t]*\n|```)/;
  return end.exec(text)?.[0].length ?? 0;
}

function blockNodes(block) {
  const lines = block.split("\n");
  if (block.startsWith("```")) {
    const closed = lines.length > 1 && lines.at(-1).startsWith("```");
    const code = lines.slice(1, closed ? -1 : undefined).join("\n");
    return [make("pre", { tabindex: "0" }, make("code", {}, code))];
  }
  return /^\|.*\n\|[-:| ]+\|/.test(block) ? [table(lines)] : lists(lines);
}

function table([head, , ...rows]) {
  const row = (line, tag) => make("tr", {}, ...line.replace(/^\||\|\s*$/g, "").split(/(?<!\\)\|/)
    .map((cell) => make(tag, {}, ...inline(cell.replaceAll("\\|", "|").trim()))));
  return make("table", {}, row(head, "th"), ...rows.map((line) => row(line, "td")));
}

/** Gives paragraphs, headings and lists; a line without a mark goes on with what stands above. */
function lists(lines) {
  const blocks = [];
  for (const line of lines) {
    const [, hashes, bullet, number, words] =
      /^\s*(?:(#{1,6}) +|([-*]) +|(\d+)[.)] +)?(.*)$/s.exec(line);
    const tag = hashes ? "h3" : bullet ? "ul" : number ? "ol" : "p";
    const above = blocks.at(-1);
    if (tag === "p" && above && above.tag !== "h3") {
      above.items.push(`${above.items.pop()} ${words}`);
    } else if (tag === above?.tag && tag.endsWith("l")) above.items.push(words);
    else blocks.push({ tag, items: [words], attributes: number ? { start: number } : {} });
  }
  return blocks.map(({ tag, items, attributes }) => make(tag, attributes, ...tag.endsWith("l")
    ? items.map((item) => make("li", {}, ...inline(item))) : inline(items[0])));
}

function inline(text) {
  const marks = /(`[^`]+`|\*\*[^*]+\*\*|\[[^[\]]+\]\(https?:\/\/[^\s)]+\))/;
  return text.split(marks).map((piece, position) => {
    if (position % 2 === 0) return piece;
    if (piece[0] === "`") return make("code", {}, piece.slice(1, -1));
    if (piece[0] === "*") return make("strong", {}, piece.slice(2, -2));
    const [words, address] = piece.slice(1, -1).split("](");
    return make("a", { href: address, target: "_blank", rel: "noreferrer" }, words);
  });
}
