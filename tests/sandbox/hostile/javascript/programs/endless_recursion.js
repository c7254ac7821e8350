// failed: RangeError: Maximum call stack
const f = (x) => 1 + f(x + 1);
f(0);
