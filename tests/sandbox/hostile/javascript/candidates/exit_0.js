// failed: left before its end (exit status 0)
function f(x) {
  process.exit(0);
}
