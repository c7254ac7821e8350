// The tabs, and the line about the server.

import { $, show } from "./parts.js";
import { json } from "./server.js";
import { startChat } from "./chat.js";
import { startDatabase } from "./database.js";
import { startWriting } from "./write.js";

const EVERY = 2000; // milliseconds between two looks at the server
const tabs = [...document.querySelectorAll("[role=tab]")];

function choose(tab) {
  for (const other of tabs) {
    other.setAttribute("aria-selected", String(other === tab));
    other.tabIndex = other === tab ? 0 : -1;
    show($(other.getAttribute("aria-controls")), other === tab);
  }
}

for (const tab of tabs) {
  tab.addEventListener("click", () => choose(tab));
  tab.addEventListener("keydown", (event) => {
    const shown = tabs.filter((other) => !other.hidden);
    const at = shown.indexOf(tab);
    const next = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: -1 }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    const chosen = shown.at(next % shown.length);
    choose(chosen);
    chosen.focus();
  });
}

function say(status) {
  const counted = (count, word) => `${count.toLocaleString("en")} ${word}`;
  const parts = [
    counted(status.context, "tokens of context"),
    status.tokens_per_second === null ? "no text yet" : `${status.tokens_per_second} tokens/s`,
    counted(status.running, "running"),
    counted(status.waiting, "waiting"),
    `cache ${Math.round(status.cache_use * 100)}% in use`,
  ];
  $("model").textContent = status.name;
  $("status").textContent = parts.join(" · ");
}

async function watch() {
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, EVERY));
    if (document.hidden) continue;
    try {
      say(await json("v1/status"));
    } catch (error) {
      $("status").textContent = error.message;
    }
  }
}

async function start() {
  let status;
  try {
    status = await json("v1/status");
  } catch (error) {
    $("status").textContent = `${error.message} Load the page again.`;
    return;
  }
  say(status);
  document.title = `chaku: ${status.name}`;
  startWriting(status);
  startChat(status);
  if (status.asks_databases) startDatabase(() => show($("tab-database"), true));
  watch();
}

start();
