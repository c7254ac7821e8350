// The untrusted process: runs program.js, then answers the judge's calls on descriptor 3 with plain data.
// Top-level names of a script, `const` ones too, are seen by later scripts only.
const lookup = (name) => vm.runInThisContext(`typeof ${name} === 'undefined' ? undefined : ${name}`);
const commands = {
  names: (words) => words.filter((word) => {
    try { return lookup(word) !== undefined; } catch { return false; }
  }).map((word) => [word, typeof lookup(word)]),
  get: (name) => lookup(name),
  call: (name, values) => lookup(name)(...values),
};

let failure = null;
try {
  vm.runInThisContext(fs.readFileSync('program.js', 'utf8'), { filename: 'program.js' });
} catch (error) {
  failure = error;
}
for (;;) {
  const [command, ...values] = receive();
  try {
    if (failure !== null) throw failure;
    send(['done', commands[command](...values)]);
  } catch (error) {
    send(['raise', String(error?.name ?? 'Error'), String(error?.message ?? error)]);
  }
}
