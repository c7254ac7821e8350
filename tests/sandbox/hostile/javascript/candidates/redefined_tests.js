// failed: AssertionError
function f(x) {
  return [x];
}
function test() {}
Object.defineProperty(globalThis, 'test', { value: test, writable: false, configurable: false });
