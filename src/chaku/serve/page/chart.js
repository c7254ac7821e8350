// A chart of rows: bars for names, a line for dates.

import { element, svg } from "./parts.js";

const LEAST_ROWS = 2;
const MOST_ROWS = 50;
const ROW = 24; // pixels of a bar with its gap
const DATE = /^\d{4}-\d{2}(-\d{2}([ T]\d{2}:\d{2}.*)?)?$/;
const pen = document.createElement("canvas").getContext("2d");
pen.font = "12px system-ui, sans-serif"; // as in style.css
const compact = new Intl.NumberFormat("en", { maximumFractionDigits: 2, notation: "compact" });
const exact = new Intl.NumberFormat("en", { maximumFractionDigits: 6 });

/** A figure of rows with one column of names or dates and one of numbers; null for other rows. */
export function chart(columns, rows) {
  const found = points(columns, rows);
  if (!found) return null;
  const { label, value, drawn } = found;
  const isLine = drawn.every(([name]) => isDate(name)) && new Set(drawn.map(([name]) => name)).size === drawn.length;
  const box = element("div");
  const draw = () => {
    const width = Math.max(box.clientWidth, 240);
    const picture = isLine ? line(drawn, width) : bars(drawn, width);
    picture.setAttribute("role", "img");
    picture.setAttribute("aria-label", `${isLine ? "A line" : "Bars"} of ${value} by ${label}; the table has the numbers`);
    box.replaceChildren(picture);
  };
  new ResizeObserver(draw).observe(box);
  return element("figure", {}, element("figcaption", {}, `${value} by ${label}`), box);
}

/** The columns' names, and [name, number] of every row. */
function points(columns, rows) {
  if (columns.length !== 2 || rows.length < LEAST_ROWS || rows.length > MOST_ROWS) return null;
  const are = (at, test) => rows.every((row) => test(row[at]));
  for (const [name, number] of [[0, 1], [1, 0]]) {
    const numbers = are(number, isNumber) || (are(number, isDecimal) && !are(name, isDecimal));
    if (numbers && are(name, isText)) {
      return { label: columns[name], value: columns[number], drawn: rows.map((row) => [row[name], Number(row[number])]) };
    }
  }
  return null;
}

const isNumber = (value) => typeof value === "number";
const isText = (value) => typeof value === "string";
const isDecimal = (value) => isText(value) && /^-?\d+(\.\d+)?$/.test(value); // exact numbers come as text

function isDate(text) {
  return DATE.test(text) && !Number.isNaN(time(text));
}

function time(date) {
  return Date.parse(date.replace(" ", "T"));
}

function bars(drawn, width) {
  const longest = Math.max(...drawn.map(([name]) => pen.measureText(name).width));
  const left = Math.min(Math.ceil(longest) + 10, Math.round(width * 0.38));
  const right = width - 56; // the longest bar's number stands behind it
  const values = drawn.map(([, number]) => number);
  const x = scale(Math.min(0, ...values), Math.max(0, ...values), left, right);
  const height = drawn.length * ROW + 4;
  const picture = svg("svg", { class: "chart", width, height, viewBox: `0 0 ${width} ${height}` });
  for (const [at, [name, number]] of drawn.entries()) {
    const y = at * ROW + 4;
    const [from, to] = [Math.min(x(0), x(number)), Math.max(x(0), x(number))];
    picture.append(
      svg("g", {},
        svg("title", {}, `${name}: ${exact.format(number)}`),
        svg("text", { class: "end", x: left - 8, y: y + 14 }, short(name, left - 8)),
        svg("rect", { class: "bar", x: from, y: y + 2, width: Math.max(to - from, 1), height: ROW - 8, rx: 2 }),
        svg("text", { class: "tick", x: to + 6, y: y + 14 }, compact.format(number)),
      ),
    );
  }
  picture.append(svg("line", { class: "axis", x1: x(0), x2: x(0), y1: 0, y2: height }));
  return picture;
}

function line(drawn, width) {
  const dated = drawn.map(([name, number]) => ({ name, number, at: time(name) }));
  dated.sort((a, b) => a.at - b.at);
  const values = dated.map(({ number }) => number);
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const steps = ticks(least >= 0 && least < most / 2 ? 0 : least, most);
  const [left, top, bottom, height] = [52, 12, 212, 240];
  const x = scale(dated[0].at, dated.at(-1).at, left + 8, width - 40);
  const y = scale(steps[0], steps.at(-1), bottom, top);
  const picture = svg("svg", { class: "chart", width, height, viewBox: `0 0 ${width} ${height}` });
  for (const step of steps) {
    picture.append(
      svg("line", { class: "grid", x1: left, x2: width - 16, y1: y(step), y2: y(step) }),
      svg("text", { class: "tick end", x: left - 6, y: y(step) + 4 }, compact.format(step)),
    );
  }
  const room = Math.max(Math.floor((width - left) / 100), 2); // dates that have room on the axis
  const every = Math.ceil((dated.length - 1) / (room - 1)) || 1;
  for (const [place, { name, at }] of dated.entries()) {
    if (place % every === 0) {
      picture.append(svg("text", { class: "tick middle", x: x(at), y: height - 8 }, name.slice(0, 10)));
    }
  }
  const path = dated.map(({ at, number }) => `${x(at)} ${y(number)}`).join("L");
  picture.append(svg("path", { class: "line", d: `M${path}` }));
  for (const { name, number, at } of dated) {
    const title = svg("title", {}, `${name}: ${exact.format(number)}`);
    picture.append(svg("circle", { class: "dot", cx: x(at), cy: y(number), r: 3.5 }, title));
  }
  return picture;
}

/** A function from values to pixels. */
function scale(least, most, from, to) {
  const span = most - least || 1;
  return (value) => Math.round((from + ((value - least) / span) * (to - from)) * 10) / 10;
}

/** About five round numbers around the values. */
function ticks(least, most) {
  const rough = (most - least || Math.abs(most) || 1) / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough);
  const first = Math.floor(least / step);
  const last = Math.max(Math.ceil(most / step), first + 1);
  return Array.from({ length: last - first + 1 }, (_, at) => (first + at) * step);
}

/** A text that is at most so many pixels wide. */
function short(text, width) {
  let shown = text;
  while (pen.measureText(shown).width > width && shown.length > 2) shown = `${shown.slice(0, -2)}…`;
  return shown;
}
