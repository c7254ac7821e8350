// Requests to the server. The key that the user types stays in this browser tab.

const KEY = "chaku-key";
const dialog = document.getElementById("key-dialog");
let asking = null; // one dialog, however many requests need the key

/** The answer to a request; `body` is sent as JSON. Throws an Error with what the server says is wrong. */
export async function request(path, { body, signal } = {}) {
  for (;;) {
    const key = sessionStorage.getItem(KEY);
    const response = await send(path, key, body, signal);
    if (response.status !== 401) {
      if (response.ok) return response;
      throw Object.assign(new Error(await complaint(response)), { status: response.status });
    }
    if (sessionStorage.getItem(KEY) === key) await askForKey(key !== null);
  }
}

export async function json(path, options) {
  return (await request(path, options)).json();
}

/** The objects of a stream of server-sent events, as they come. */
export async function* events(path, options) {
  for await (const line of lines(await request(path, options))) {
    if (!line.startsWith("data: ") || line === "data: [DONE]") continue;
    const event = JSON.parse(line.slice(6));
    if (event.error) throw new Error(event.error.message);
    yield event;
  }
}

/** The objects of a stream with one JSON object a line, as they come. */
export async function* objects(path, options) {
  for await (const line of lines(await request(path, options))) {
    if (line.trim()) yield JSON.parse(line);
  }
}

async function send(path, key, body, signal) {
  const headers = {};
  if (key) headers.Authorization = `Bearer ${key}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const method = body === undefined ? "GET" : "POST";
  try {
    return await fetch(path, { method, headers, body: body && JSON.stringify(body), signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The server does not answer.");
  }
}

async function complaint(response) {
  try {
    const answer = await response.json();
    return (answer.error ?? answer).message;
  } catch {
    return `The server answers with status ${response.status}.`;
  }
}

async function* lines(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) break;
    const parts = (rest + value).split("\n");
    rest = parts.pop();
    yield* parts;
  }
  if (rest) yield rest;
}

function askForKey(wasWrong) {
  asking ??= new Promise((resolve) => {
    const input = document.getElementById("key");
    document.getElementById("key-label").textContent = wasWrong
      ? "The server refuses this API key; type the right one."
      : "This server asks for its API key.";
    input.value = "";
    dialog.showModal();
    const closed = () => {
      if (!input.value) return dialog.showModal(); // nothing works without it
      sessionStorage.setItem(KEY, input.value);
      dialog.removeEventListener("close", closed);
      asking = null;
      resolve();
    };
    dialog.addEventListener("close", closed);
  });
  return asking;
}
