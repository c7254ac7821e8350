// failed: could not be cloned
function f(x) {
  return new Proxy([], { get: () => 4 });
}
