// Chat: a conversation, with the model's code in blocks of their own.

import { $, codeBlock, complain, element, number, sendOnEnter, show, stoppable, unmasked } from "./parts.js";
import { events } from "./server.js";

const talk = $("talk");
let messages = [];
let busy = false;

export function startChat(status) {
  if (!status.chats) {
    $("chat-about").textContent = "This model cannot chat: it has no chat template. It completes text on the tab Write.";
    show($("chat-form"), false);
    return;
  }
  sendOnEnter($("message"));
  $("chat-form").addEventListener("submit", (event) => {
    event.preventDefault();
    send();
  });
  $("clear").addEventListener("click", clear);
}

async function send() {
  const content = $("message").value.trim();
  if (busy || !content) return;
  busy = true;
  $("message").value = "";
  complain($("chat-alert"), "");
  $("chat-state").textContent = "The model answers.";
  const asked = said("You", "user");
  const answered = said("Model", "assistant");
  render(asked.words, content);
  answered.words.classList.add("writing");
  talk.setAttribute("aria-busy", "true"); // a reader hears the whole answer, not each token
  messages.push({ role: "user", content });
  const mine = messages;
  let reply = "";
  let [finished, state] = [null, ""];
  const body = {
    messages,
    max_tokens: number($("chat-length")),
    temperature: number($("chat-temperature")),
    stream: true,
  };
  try {
    const stopped = await stoppable($("chat-stop"), async (signal) => {
      for await (const { choices } of events("v1/chat/completions", { body, signal })) {
        for (const choice of choices) {
          reply += choice.delta.content ?? "";
          finished = choice.finish_reason ?? finished;
        }
        const atEnd = talk.scrollHeight - talk.scrollTop - talk.clientHeight < 40;
        render(answered.words, reply);
        if (atEnd) talk.scrollTop = talk.scrollHeight;
      }
    });
    state = stopped ? "Stopped." : finished === "length" ? "The answer was cut off: it has as many tokens as it may." : "";
  } catch (error) {
    if (mine === messages) complain($("chat-alert"), error.message);
  }
  busy = false;
  answered.words.classList.remove("writing");
  talk.removeAttribute("aria-busy");
  if (mine !== messages) return; // cleared meanwhile
  $("chat-state").textContent = state;
  if (reply) {
    messages.push({ role: "assistant", content: reply });
  } else { // a question without an answer is not part of the conversation
    messages.pop();
    asked.box.remove();
    answered.box.remove();
    $("message").value ||= content;
  }
}

function clear() {
  messages = [];
  $("chat-stop").click();
  talk.replaceChildren();
  complain($("chat-alert"), "");
  $("chat-state").textContent = "";
  $("message").focus();
}

function said(name, role) {
  const words = element("div", {});
  const box = element("article", { class: `said ${role}` }, element("p", { class: "who" }, name), words);
  talk.append(box);
  talk.scrollTop = talk.scrollHeight;
  return { box, words };
}

/** Shows a message. Blocks that stay the same keep their elements: a Copy button keeps the focus while text comes. */
function render(node, content) {
  const found = blocks(unmasked(content));
  for (const [at, block] of found.entries()) {
    const old = node.children[at];
    if (old && old.block.code === block.code) {
      if (old.block.text === block.text && old.block.language === block.language) continue;
      if (block.code && old.block.language === block.language) {
        old.querySelector("code").textContent = block.text;
        old.block = block;
        continue;
      }
    }
    const made = block.code ? codeBlock(block.text, block.language) : element("p", { class: "words" }, ...inline(block.text));
    made.block = block;
    if (old) old.replaceWith(made);
    else node.append(made);
  }
  while (node.children.length > found.length) node.lastChild.remove();
}

/** A message as paragraphs and blocks of code between fences; the last fence may not have come yet. */
export function blocks(content) {
  const found = [];
  let fence = null;
  let lines = [];
  const end = (code, language) => {
    const text = code ? lines.join("\n") : lines.join("\n").trim();
    if (text || code) found.push({ code, language, text });
    lines = [];
  };
  for (const line of content.split("\n")) {
    const mark = line.match(/^\s*(`{3,}|~{3,})\s*([^`\s]*)/);
    if (!fence && mark) {
      end(false, "");
      fence = { mark: mark[1], language: mark[2] };
    } else if (fence && mark && mark[1].startsWith(fence.mark) && !mark[2]) {
      end(true, fence.language);
      fence = null;
    } else {
      lines.push(line);
    }
  }
  end(fence !== null, fence?.language ?? "");
  return found;
}

/** Text with `code` and **strong** words. */
function inline(text) {
  return text.split(/(`[^`\n]+`|\*\*[^*\n]+\*\*)/).map((part, at) => {
    if (at % 2 === 0) return part;
    return part[0] === "`" ? element("code", {}, part.slice(1, -1)) : element("strong", {}, part.slice(2, -2));
  });
}
