// Write: the model fills the place of the cursor. What it writes is a proposal until Tab accepts it.

import { $, complain, element, number, show, stoppable } from "./parts.js";
import { events } from "./server.js";

const text = $("text");
const proposal = $("proposal");
const NUM_TOP = 5; // likeliest tokens that are shown
const UNSURE = 0.5; // a token below this probability is underlined

let infills = false;
let open = null; // the proposal: {start, end, written, aligned, num, stop}

export function startWriting(status) {
  infills = status.infills;
  $("write-about").textContent = infills
    ? "The model writes at the cursor, or replaces the selection. Underlined with dots: tokens that it gave less than 50%."
    : "This model cannot infill: it goes on with the text before the cursor, and does not read the text after it.";
  const place = text.value.indexOf("    \n\n") + 4; // the hole of the example
  if (text.value === text.defaultValue) text.setSelectionRange(place, place);
  $("write-start").addEventListener("click", write);
  $("accept").addEventListener("click", accept);
  $("take-back").addEventListener("click", takeBack);
  text.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    write();
  });
  proposal.addEventListener("keydown", keyInProposal);
  $("write").addEventListener("keydown", (event) => {
    if (event.key === "Escape" && open) takeBack();
  });
  proposal.addEventListener("focusin", (event) => describe(event.target));
  proposal.addEventListener("mouseover", (event) => describe(event.target));
}

async function write() {
  if (open) return;
  const [start, end] = [text.selectionStart, text.selectionEnd];
  const [before, after] = [text.value.slice(0, start), text.value.slice(end)];
  const body = {
    prompt: before,
    max_tokens: number($("write-length")),
    temperature: number($("write-temperature")),
    logprobs: NUM_TOP,
    stream: true,
  };
  if (infills && after.trim()) body.suffix = after;
  const written = element("span", { class: "written writing" });
  open = { start, end, written, aligned: new Aligned(written), num: 0, stop: null };
  let first = null; // {at, num}: when the first tokens came, and how many
  proposal.replaceChildren(before, element("span", { class: "hole" }), written, after);
  complain($("write-alert"), "");
  $("write-state").textContent = "Writing. Tab accepts, Escape takes it back.";
  swap(true);
  const mine = open;
  let [finished, failure, stopped] = [null, null, false];
  try {
    stopped = await stoppable($("write-stop"), async (signal) => {
      mine.stop = () => $("write-stop").click();
      for await (const { choices } of events("v1/completions", { body, signal })) {
        for (const choice of choices) {
          mine.aligned.add(choice.text, choice.logprobs);
          mine.num += choice.logprobs?.tokens.length ?? 0;
          finished = choice.finish_reason ?? finished;
        }
        first ??= { at: performance.now(), num: mine.num };
        keepInSight(written);
      }
    });
  } catch (error) {
    failure = error;
  }
  mine.stop = null;
  written.classList.remove("writing");
  if (open !== mine) return; // it was accepted or taken back meanwhile
  if (failure) complain($("write-alert"), failure.message);
  if (!written.textContent) {
    takeBack();
    if (!failure) $("write-state").textContent = stopped ? "Stopped." : "The model writes nothing here.";
    return;
  }
  const rate = ((mine.num - first.num) / (performance.now() - first.at)) * 1000; // without the reading of the prompt
  const speed = mine.num > first.num ? `, ${rate.toFixed(1)} tokens/s` : "";
  const how = stopped || failure ? "Stopped after" : finished === "length" ? "Cut off at" : "Wrote";
  $("write-state").textContent =
    `${how} ${mine.num} tokens${speed}. Tab accepts, Escape takes it back, arrow keys visit the tokens.`;
}

/** Puts the proposal in the text's place, or the text back. */
function swap(proposing) {
  const [from, to] = proposing ? [text, proposal] : [proposal, text];
  const scroll = from.scrollTop;
  show(text, !proposing);
  show(proposal, proposing);
  for (const id of ["accept", "take-back"]) show($(id), proposing);
  show($("write-start"), !proposing);
  if (!proposing) show($("token"), false);
  to.scrollTop = scroll;
  to.focus({ preventScroll: true });
}

function accept() {
  const { start, end, written, stop } = open;
  const added = written.textContent;
  open = null;
  stop?.();
  swap(false);
  text.setSelectionRange(start, end);
  // The old command keeps the browser's undo; the new function does not.
  if (added && !document.execCommand("insertText", false, added)) text.setRangeText(added, start, end, "end");
  $("write-state").textContent = "Accepted.";
}

function takeBack() {
  const { start, end, stop } = open;
  open = null;
  stop?.();
  swap(false);
  text.setSelectionRange(start, end);
  $("write-state").textContent = "Taken back.";
}

function keyInProposal(event) {
  const tokens = [...open.written.querySelectorAll("[tabindex]")];
  const at = tokens.indexOf(document.activeElement);
  const last = tokens.length - 1;
  const next = { ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at - 1, ArrowUp: at - 1, Home: 0, End: last }[event.key];
  if (event.key === "Tab" && !event.shiftKey) {
    event.preventDefault();
    accept();
  } else if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    open.stop?.();
  } else if (next !== undefined) {
    event.preventDefault();
    tokens[Math.min(Math.max(next, 0), last)]?.focus();
  } else if (event.key.length === 1 && !event.ctrlKey && !event.metaKey && !event.altKey) {
    takeBack(); // who types on wants their own text; the key goes to the text, which has the focus now
  }
}

function keepInSight(written) {
  const box = proposal.getBoundingClientRect();
  const below = written.getBoundingClientRect().bottom - (box.bottom - 30);
  if (below > 0) proposal.scrollTop += below;
}

/** Shows the probabilities of the token under the pointer or the focus. */
function describe(node) {
  const tokens = node.tokens;
  if (!tokens) return;
  const shown = tokens.map(({ token, probability, top }) => [
    element("span", {}, element("b", {}, `${visible(token)} ${percent(probability)}`)),
    ...top
      .filter(([other]) => other !== token)
      .map(([other, its]) => element("span", {}, element("code", {}, visible(other)), ` ${percent(its)}`)),
  ]);
  $("token").replaceChildren(...shown.flat());
  show($("token"), true);
}

function visible(token) {
  return token.replaceAll(" ", "␣").replaceAll("\n", "↵").replaceAll("\t", "⇥").replaceAll("\r", "␍");
}

function percent(probability) {
  return probability > 0 && probability < 0.001 ? "<0.1%" : `${(probability * 100).toFixed(1)}%`;
}

/**
 * Writes text as spans, each with the tokens that it was written with.
 *
 * Text may come later than its tokens: a character's last byte, or what could become a stop string, is waited for. A
 * token that is not text of its own, a part of a character say, shares a span with its neighbours.
 */
class Aligned {
  #written;
  #text = "";
  #tokens = [];

  constructor(written) {
    this.#written = written;
  }

  add(text, logprobs) {
    this.#text += text;
    for (const [at, token] of (logprobs?.tokens ?? []).entries()) {
      const top = Object.entries(logprobs.top_logprobs[at]).map(([other, log]) => [other, Math.exp(log)]);
      top.sort(([, a], [, b]) => b - a);
      this.#tokens.push({ token, probability: Math.exp(logprobs.token_logprobs[at]), top });
    }
    while (this.#text && this.#tokens.length && this.#text.startsWith(this.#tokens[0].token) && this.#tokens[0].token) {
      const token = this.#tokens.shift();
      this.#span(token.token, [token]);
      this.#text = this.#text.slice(token.token.length);
    }
    if (!this.#text) return;
    this.#span(this.#text, this.#tokens);
    [this.#text, this.#tokens] = ["", []];
  }

  #span(text, tokens) {
    const span = element("span", { tabindex: "-1" }, text);
    span.tokens = tokens;
    span.classList.toggle("unsure", tokens.some(({ probability }) => probability < UNSURE));
    this.#written.append(span);
  }
}
