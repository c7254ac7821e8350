// Asks the extension llama.vscode for a completion, as VS Code would: node llama_vscode.cjs EXTENSION URL
const [extension, endpoint] = process.argv.slice(2);
const Module = require("module");
const { contributes } = require(`${extension}/package.json`);
const settings = { "llama-vscode.endpoint": endpoint, "llama-vscode.ask_install_llamacpp": false };
const setting = (name) =>
  settings[`llama-vscode.${name}`] ?? contributes.configuration.properties[`llama-vscode.${name}`]?.default;

// Stands in for the parts of VS Code that a completion does not need: every part has every part, and can be called.
const anything = new Proxy(function () {}, {
  get: (_, name) => {
    if (name === Symbol.toPrimitive) return () => "";
    return typeof name === "symbol" || name === "then" || name === "__esModule" ? undefined : anything;
  },
  apply: () => anything,
  construct: () => anything,
});
const also = (parts) => new Proxy(parts, { get: (parts, name) => (name in parts ? parts[name] : anything[name]) });
const record = (...names) =>
  class {
    constructor(...values) {
      names.forEach((name, index) => (this[name] = values[index]));
    }
  };
let provider;
const names = ["commands", "env", "extensions", "lm", "EventEmitter", "ProgressLocation", "StatusBarAlignment", "Uri"];
const vscode = also({
  ...Object.fromEntries(names.map((name) => [name, anything])),
  InlineCompletionItem: record("insertText", "range"),
  InlineCompletionTriggerKind: { Invoke: 0, Automatic: 1 },
  Position: record("line", "character"),
  Range: record("start", "end"),
  languages: also({ registerInlineCompletionItemProvider: (_, given) => (provider = given) }),
  window: also({ activeTextEditor: undefined }),
  workspace: also({ getConfiguration: () => also({ get: setting }), workspaceFolders: undefined }),
});
const load = Module._load;
Module._load = (name, ...more) => (name === "vscode" ? vscode : load(name, ...more));
const memory = { get: () => undefined, update: async () => {}, keys: () => [] };
const context = { subscriptions: [], globalState: memory, workspaceState: memory, extensionUri: { fsPath: extension } };
require(`${extension}/dist/extension.js`).activate(context);

const lines = ["def add(a, b):", "    ", ""];
const file = {
  fileName: "add.py", languageId: "python", lineCount: lines.length, lineAt: (line) => ({ text: lines[line] }),
};
const token = { isCancellationRequested: false };
provider.provideInlineCompletionItems(file, new vscode.Position(1, 4), { triggerKind: 1 }, token).then((items) => {
  console.log("items", JSON.stringify(items));
  process.exit();
});
