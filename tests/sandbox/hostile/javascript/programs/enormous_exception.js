// failed: Error: xxx
throw new Error('x'.repeat(100_000_000));
