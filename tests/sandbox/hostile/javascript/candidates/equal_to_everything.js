// failed: AssertionError
function f(x) {
  return { valueOf: undefined, length: 1, 0: 4, toJSON: undefined };
}
