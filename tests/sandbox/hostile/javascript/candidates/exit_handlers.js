// failed: AssertionError
for (const event of ['exit', 'beforeExit', 'uncaughtException', 'SIGTERM', 'unhandledRejection'])
  process.on(event, () => { process.exitCode = 0; process.reallyExit(0); });
function f(x) {
  return [x];
}
