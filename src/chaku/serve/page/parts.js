// Small parts that the tabs share. Text becomes text nodes, never HTML.

/** An element with attributes and children; a child that is not a node is text. */
export function element(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

export function svg(name, attributes = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== null) node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

/** Text whose bidirectional controls are visible: they make code look different from what runs (CVE-2021-42574). */
export function unmasked(text) {
  const name = (control) => `⟨U+${control.codePointAt(0).toString(16).toUpperCase()}⟩`;
  return text.replace(/[\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, name);
}

export const $ = (id) => document.getElementById(id);

export function show(node, shown) {
  node.hidden = !shown;
}

/** Show an error, or hide it: text "". */
export function complain(node, text) {
  node.textContent = text;
  show(node, text !== "");
}

/** The number in a field. The field's first value takes the place of a number out of its range. */
export function number(input) {
  const { badInput, rangeOverflow, rangeUnderflow } = input.validity;
  if (input.value === "" || badInput || rangeOverflow || rangeUnderflow) input.value = input.defaultValue;
  return Number(input.value);
}

/** Run `work(signal)` while the stop button shows. Returns whether the user stopped it; throws what `work` throws. */
export async function stoppable(stop, work) {
  const controller = new AbortController();
  const abort = () => controller.abort();
  stop.addEventListener("click", abort);
  show(stop, true);
  try {
    await work(controller.signal);
    return false;
  } catch (error) {
    if (error.name !== "AbortError") throw error;
    return true;
  } finally {
    stop.removeEventListener("click", abort);
    show(stop, false);
  }
}

/** A block of code with a button that copies it. */
export function codeBlock(code, language) {
  const pre = element("pre", {}, element("code", {}, unmasked(code)));
  const button = element("button", { type: "button" }, "Copy");
  button.addEventListener("click", async () => {
    const copied = await copy(pre.textContent);
    button.textContent = copied ? "Copied" : "Not copied";
    setTimeout(() => (button.textContent = "Copy"), 1500);
  });
  return element("div", { class: "block" }, element("header", {}, element("span", {}, language || "code"), button), pre);
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text); // only where the page comes from this machine or over TLS
    return true;
  } catch {
    const before = document.activeElement;
    const area = element("textarea", { class: "unseen", "aria-hidden": "true" });
    area.value = text;
    document.body.append(area);
    area.select();
    const copied = document.execCommand("copy");
    area.remove();
    before?.focus();
    return copied;
  }
}

/** Enter sends a form, Shift+Enter breaks the line; an input method's Enter does neither. */
export function sendOnEnter(area) {
  area.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    area.form.requestSubmit();
  });
}
