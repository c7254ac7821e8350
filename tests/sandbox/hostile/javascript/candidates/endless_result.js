// failed: AssertionError
function f(x) {
  const result = [4];
  result.push(result);
  return result;
}
