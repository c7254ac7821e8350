// failed:
const fs = require('node:fs');
for (const text of ['passed', '\x01\0\0\0{"status": "passed"}', '\xff\xff\xff\xff'])
  fs.writeSync(3, Buffer.from(text, 'latin1'));
function f(x) {
  return [x];
}
