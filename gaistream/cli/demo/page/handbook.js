/* A page of the handbook, named by the query: handbook?proxies.md#nginx. */

import { Prose } from "./prose.js";

const main = document.querySelector("main");
const name = decodeURIComponent(location.search.slice(1));
const answer = await fetch(`handbook/${encodeURIComponent(name)}`);

if (answer.ok) {
  const prose = new Prose();
  prose.add((await answer.text()).replace(/^<!--.*-->\n/gm, ""));
  prose.finish();
  for (const heading of prose.element.querySelectorAll("h3")) {
    heading.id = heading.textContent.toLowerCase().replace(/[^\w\- ]/g, "").replaceAll(" ", "-");
  }
  main.append(prose.element);
  document.title = `${prose.element.querySelector("h3")?.textContent ?? name} · gaistream handbook`;
  document.getElementById(location.hash.slice(1))?.scrollIntoView();
} else {
  main.textContent = `The handbook has no page ${name}.`;
}
