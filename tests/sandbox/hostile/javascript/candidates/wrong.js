// failed: AssertionError
function f(x) {
  return [x];
}
