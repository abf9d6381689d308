/* Text that arrives in pieces, shown as light Markdown: paragraphs, headings, lists, tables, code.
   It builds elements and text nodes, never markup, so an answer cannot bring code into the page. */

export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children.filter((child) => child != null));
  return element;
}

/** Makes a button that copies a text to the clipboard. */
export function copyButton(label, text) {
  const button = make("button", { type: "button", class: "copy", "data-testid": "copy" }, label);
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text());
      button.textContent = "Copied";
    } catch {
      button.textContent = "Not allowed";
    }
    setTimeout(() => { button.textContent = label; }, 1500);
  });
  return button;
}

const LONG = 4096; // characters of an unfinished block from which on it is shown as plain text
const DRAWING = 8; // milliseconds of drawing in one frame

export class Prose {
  element = make("div", { class: "prose", "data-testid": "answer-text" });
  rest = "";
  nodes = [];
  drawn = 0; // characters of `rest` that stand in a plain node

  add(text) {
    this.rest += text;
  }

  /** Draws what has come; returns true if ended blocks are left for the next frame.

      Ended blocks are drawn for good, and only the last one anew. A last block that has become
      long is shown as plain text until it ends, and only what is new of it is added. */
  draw(limit = DRAWING) {
    const end = performance.now() + limit;
    for (let size; (size = blockSize(this.rest)) > 0;) {
      this.put(this.rest.slice(0, size));
      this.rest = this.rest.slice(size);
      this.nodes = [];
      this.drawn = 0;
      if (performance.now() > end) return true;
    }
    if (this.rest.length < LONG) {
      this.put(this.rest);
      this.drawn = 0;
      return false;
    }
    if (!this.drawn) this.put("");
    while (this.drawn < this.rest.length) {
      // in pieces, since a browser lays out a whole paragraph when a word is added to it
      if (this.drawn % LONG === 0) this.nodes.push(make("p", { class: "plain" }));
      const end = Math.min(this.rest.length, this.drawn - (this.drawn % LONG) + LONG);
      this.nodes.at(-1).append(this.rest.slice(this.drawn, end));
      this.drawn = end;
    }
    this.element.append(...this.nodes.filter((node) => !node.parentNode));
    return false;
  }

  /** Draws all that is left. */
  finish() {
    this.draw(Infinity);
    if (this.drawn) this.put(this.rest);
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
    return [make("div", { class: "code" }, make("pre", { tabindex: "0" }, make("code", {}, code)),
      copyButton("Copy", () => code))];
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
    else {
      const attributes = number ? { start: number } : hashes ? { "data-depth": hashes.length } : {};
      blocks.push({ tag, items: [words], attributes });
    }
  }
  return blocks.map(({ tag, items, attributes }) => make(tag, attributes, ...tag.endsWith("l")
    ? items.map((item) => make("li", {}, ...inline(item))) : inline(items[0])));
}

function inline(text) {
  const marks = /(`[^`]+`|\*\*[^*]+\*\*|\[[^[\]]+\]\((?:https?:\/\/[^\s)]+|[\w-]+\.md[^\s)]*)\))/;
  return text.split(marks).map((piece, position) => {
    if (position % 2 === 0) return piece;
    if (piece[0] === "`") return make("code", {}, piece.slice(1, -1));
    if (piece[0] === "*") return make("strong", {}, piece.slice(2, -2));
    const [words, address] = piece.slice(1, -1).split("](");
    const href = /^https?:/.test(address) ? address : `handbook?${address}`;
    return make("a", { href, target: "_blank", rel: "noreferrer" }, words);
  });
}
