// timed_out: CPU time
function f(x) {
  process.on('SIGXCPU', () => {});
  for (;;) {}
}
