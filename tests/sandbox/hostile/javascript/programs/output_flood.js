// output_limit: may hold
for (;;) require('node:fs').writeSync(1, 'x'.repeat(100000));
