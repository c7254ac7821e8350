// The tests' process: the candidate's functions are calls on descriptor 3; the tests come from descriptor 4.
function ask(...message) {
  send(message);
  const [kind, result, text] = receive();
  if (kind === 'done') return result;
  const kinds = { TypeError, RangeError, SyntaxError, ReferenceError, EvalError, URIError };
  throw Object.assign(new (kinds[result] ?? Error)(String(text)), { name: String(result) });
}

function fail(error) {
  const words = `${error?.name ?? 'Error'}: ${error?.message ?? error}`.replace(/\s+/g, ' ');
  fs.writeSync(2, `\n${words.slice(0, 500)}\n`);
  process.exit(1);
}

process.on('uncaughtException', fail);
console.assert = (holds, ...about) => {
  if (!holds) throw Object.assign(new Error(about.join(' ') || 'console.assert'), { name: 'AssertionError' });
};
const tests = fs.readFileSync(4, 'utf8'), entry = process.argv[1];
// Not `this`: it would be the candidate's whole global object.
const words = 'WORDS'.split(' ').filter((word) => word !== 'this');
for (const [name, type] of ask('names', words)) {
  if (!words.includes(name) || (name !== entry && name in globalThis)) continue;
  globalThis[name] = type === 'function' ? (...values) => ask('call', name, values) : ask('get', name);
}
vm.runInThisContext(tests, { filename: 'tests.js' });
