// passed:
require('node:child_process').spawn('sleep', ['600'], { detached: true, stdio: 'inherit' }).unref();
