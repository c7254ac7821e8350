// Ask a database: a question becomes SQL, rows, and a chart when the rows suit one.

import { $, codeBlock, complain, element, sendOnEnter, show, stoppable, unmasked } from "./parts.js";
import { json, objects } from "./server.js";
import { chart } from "./chart.js";

const MOST_ROWS = 200; // that the page shows
const select = $("database-name");
let databases = [];
let session = "new"; // the server's id of the conversation, once the first question is asked
let turns = []; // the answers: { box: the article, question: as the server understood it }
let busy = false;

/** Calls `there` when the server has a database. */
export async function startDatabase(there) {
  try {
    ({ databases } = await json("v1/sql/databases"));
  } catch {
    return;
  }
  if (!databases.length) return;
  select.replaceChildren(...databases.map(({ name }) => element("option", {}, name)));
  select.addEventListener("change", begin);
  sendOnEnter($("question"));
  $("question-form").addEventListener("submit", (event) => {
    event.preventDefault();
    ask();
  });
  $("new-question").addEventListener("click", () => {
    begin();
    $("question").focus();
  });
  $("back").addEventListener("click", goBack);
  begin();
  there();
}

function begin() {
  session = "new";
  turns = [];
  $("ask-stop").click();
  $("answers").replaceChildren();
  complain($("database-alert"), "");
  $("database-state").textContent = "";
  const { tables, error } = databases.find(({ name }) => name === select.value);
  $("tables").textContent = error ?? `Tables: ${tables.join(", ")}`;
  sayWhatFollows();
}

function sayWhatFollows() {
  const following = turns.length > 0;
  $("question").setAttribute("aria-label", following ? "Follow-up question" : "Question");
  $("question").placeholder = following ? "Ask a follow-up question" : "Ask a question about the data";
  show($("new-question"), following);
  show($("back"), following);
}

/** Forget the last answer. The next question goes on with the one before. */
async function goBack() {
  if (busy || !turns.length) return;
  busy = true;
  try {
    const { question } = await json("v1/sql/back", { body: { database: select.value, session } });
    turns.pop();
    while (turns.length && turns.at(-1).question !== question) turns.pop(); // a correction took another's place
    const last = turns.at(-1)?.box;
    while ($("answers").lastChild !== (last ?? null)) $("answers").lastChild.remove();
    $("database-state").textContent = question ? `Back to: ${question}` : "Back to the beginning.";
    sayWhatFollows();
  } catch (error) {
    complain($("database-alert"), error.message);
  }
  busy = false;
  $("question").focus();
}

/** Ask what the user wrote, or a `choice`: its number and its words. */
async function ask(choice) {
  const question = choice ? String(choice.number) : $("question").value.trim();
  if (busy || !question) return;
  busy = true;
  if (!choice) $("question").value = "";
  complain($("database-alert"), "");
  for (const button of $("answers").querySelectorAll(".choices button")) button.disabled = true;
  const mine = turns;
  const database = select.value;
  const asked = choice ? choice.words : question;
  const box = element("article", { class: "said" }, element("h3", { class: "who" }, asked));
  $("answers").append(box);
  let last = null;
  const tell = (text) => ($("database-state").textContent = text);
  tell("The model reads the question.");
  try {
    const stopped = await stoppable($("ask-stop"), async (signal) => {
      for await (const event of objects("v1/sql/ask", { body: { database, question, session, stream: true }, signal })) {
        if (mine !== turns) return;
        last = event;
        if (event.event in STEPS) tell(STEPS[event.event](event));
      }
    });
    if (stopped) tell("Stopped.");
  } catch (error) {
    if (error.status === 404) session = "new"; // it has ended
    last = { event: "error", message: error.message };
  }
  busy = false;
  if (mine !== turns) return; // another conversation began meanwhile
  session = last?.session || session;
  if (last?.event === "clarify") {
    showChoices(box, last);
    tell("Choose one, or ask another question.");
    return;
  }
  if (last?.event === "answer") {
    showAnswer(box, database, last);
    turns.push({ box, question: last.question });
    sayWhatFollows();
    tell(`The answer has ${counted(last.num_rows, "row")}.`);
    box.scrollIntoView({ block: "nearest" });
    return;
  }
  const why = last && !(last.event in STEPS) ? (last.reason ?? last.message) : "";
  if (!why) {
    box.remove();
    if (!choice) $("question").value ||= question;
    if (last) tell("The question has no answer.");
    return;
  }
  tell("");
  box.append(element("p", { class: "alert", role: "alert" }, why));
}

const STEPS = {
  linked: ({ tables }) => `The model reads the tables ${tables.join(", ")}.`,
  written: ({ queries }) => `${counted(queries.length, "different query", "different queries")} written.`,
  ran: ({ reason, num_rows }) => (reason ? `A query gave no rows: ${reason}.` : `A query gave ${counted(num_rows, "row")}.`),
};

/** The question back, with a button for each choice. */
function showChoices(box, { question, choices }) {
  const button = (words, at) =>
    element("button", { type: "button", onclick: () => ask({ number: at + 1, words }) }, `${at + 1}. ${unmasked(words)}`);
  box.append(element("p", {}, unmasked(question)), element("div", { class: "tools choices" }, ...choices.map(button)));
  box.querySelector(".choices button").focus();
}

function showAnswer(box, database, answer) {
  const { question, sql, sentence, columns, rows, assumed, confidence, votes, samples, explanation } = answer;
  const paragraph = (text) => box.append(element("p", {}, text));
  paragraph(unmasked(sentence));
  if (explanation.length) box.append(element("ul", {}, ...explanation.map((text) => element("li", {}, text))));
  for (const text of assumed) paragraph(`Assumed: ${text}`);
  if (samples) paragraph(`Confidence: ${Math.round(confidence * 100)}% (${votes} of ${counted(samples, "query", "queries")} agree)`);
  box.append(codeBlock(sql, "SQL"), table(answer));
  const drawn = chart(columns, rows);
  if (drawn) box.append(drawn);
  box.append(judgement(database, question, sql));
}

function table({ columns, rows, num_rows, truncated }) {
  if (rows.length === 0) return element("p", { class: "soft" }, "No rows.");
  const isNumber = (value) => value === null || typeof value === "number";
  const numeric = columns.map((_, at) => rows.every((row) => isNumber(row[at])) && rows.some((row) => row[at] !== null));
  const cell = (value, at) => {
    const css = [numeric[at] && "number", value === null && "null"].filter(Boolean).join(" ");
    return element("td", { class: css || null }, shown(value));
  };
  const heads = columns.map((name, at) => element("th", { scope: "col", class: numeric[at] ? "number" : null }, name));
  const lines = rows.slice(0, MOST_ROWS).map((row) => element("tr", {}, ...row.map(cell)));
  const made = element("table", {}, element("thead", {}, element("tr", {}, ...heads)), element("tbody", {}, ...lines));
  const box = element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Rows" }, made);
  const parts = [];
  if (rows.length > MOST_ROWS) parts.push(`The table shows ${MOST_ROWS} of ${counted(num_rows, "row")}.`);
  if (truncated) parts.push("The result has more rows; the server's limit cut them off.");
  return element("div", {}, box, ...parts.map((text) => element("p", { class: "soft" }, text)));
}

function shown(value) {
  if (value === null) return "null";
  return typeof value === "object" ? `base64 ${value.base64}` : unmasked(String(value)); // bytes
}

/** "Right" remembers the question with its SQL; "Wrong" asks for the right SQL, and remembers that. */
function judgement(database, question, sql) {
  const state = element("span", { role: "status" });
  const remember = async (right) => {
    try {
      await json("v1/sql/remember", { body: { database, question, sql: right } });
      box.replaceChildren(element("span", { role: "status", class: "good" }, "Remembered: it helps with the next questions."));
    } catch (error) {
      state.textContent = error.message;
    }
  };
  const right = element("button", { type: "button", onclick: () => remember(sql) }, "Right");
  const wrong = element("button", { type: "button" }, "Wrong");
  wrong.addEventListener("click", () => {
    const area = element("textarea", { rows: "4", spellcheck: "false", "aria-label": "The right SQL" });
    area.value = sql;
    const save = element("button", { type: "button", class: "main" }, "Remember this SQL");
    save.addEventListener("click", () => area.value.trim() && remember(area.value.trim()));
    box.replaceChildren(element("label", {}, "Write the right SQL:"), area, save, state);
    area.focus();
  });
  const box = element("div", { class: "tools" }, right, wrong, state);
  return box;
}

function counted(count, word, words = `${word}s`) {
  return `${count.toLocaleString("en")} ${count === 1 ? word : words}`;
}
