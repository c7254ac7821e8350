// Ask a database: a question becomes SQL, rows, and a chart when the rows suit one.

import { $, codeBlock, complain, element, sendOnEnter, show, stoppable, unmasked } from "./parts.js";
import { json, objects } from "./server.js";
import { chart } from "./chart.js";

const MOST_ROWS = 200; // that the page shows
const select = $("database-name");
let databases = [];
let thread = []; // the questions so far; the server knows no thread, so a follow-up is asked together with them
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
  select.addEventListener("change", beginThread);
  sendOnEnter($("question"));
  $("question-form").addEventListener("submit", (event) => {
    event.preventDefault();
    ask();
  });
  $("new-question").addEventListener("click", () => {
    beginThread();
    $("question").focus();
  });
  beginThread();
  there();
}

function beginThread() {
  thread = [];
  $("ask-stop").click();
  $("answers").replaceChildren();
  complain($("database-alert"), "");
  $("database-state").textContent = "";
  const { tables, error } = databases.find(({ name }) => name === select.value);
  $("tables").textContent = error ?? `Tables: ${tables.join(", ")}`;
  follows(false);
}

function follows(following) {
  $("question").setAttribute("aria-label", following ? "Follow-up question" : "Question");
  $("question").placeholder = following ? "Ask a follow-up question" : "Ask a question about the data";
  show($("new-question"), following);
}

async function ask() {
  const asked = $("question").value.trim();
  if (busy || !asked) return;
  busy = true;
  $("question").value = "";
  complain($("database-alert"), "");
  const mine = thread;
  const database = select.value;
  const question = [...thread, asked].join(" ");
  const box = element("article", { class: "said" }, element("h3", { class: "who" }, question));
  $("answers").append(box);
  let last = null;
  const tell = (text) => ($("database-state").textContent = text);
  tell("The model reads the question.");
  try {
    const stopped = await stoppable($("ask-stop"), async (signal) => {
      for await (const event of objects("v1/sql/ask", { body: { database, question, stream: true }, signal })) {
        if (mine !== thread) return;
        last = event;
        if (event.event in STEPS) tell(STEPS[event.event](event));
      }
    });
    if (stopped) tell("Stopped.");
  } catch (error) {
    last = { event: "error", message: error.message };
  }
  busy = false;
  if (mine !== thread) return; // another thread began meanwhile
  if (last?.event === "answer") {
    showAnswer(box, database, question, last);
    thread.push(asked);
    follows(true);
    tell(`The answer has ${counted(last.num_rows, "row")}.`);
    box.scrollIntoView({ block: "nearest" });
    return;
  }
  const why = last && !(last.event in STEPS) ? (last.reason ?? last.message) : "";
  if (!why) {
    box.remove();
    $("question").value ||= asked;
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

function showAnswer(box, database, question, answer) {
  const { sql, sentence, columns, rows, assumed, confidence, votes, samples, explanation } = answer;
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
