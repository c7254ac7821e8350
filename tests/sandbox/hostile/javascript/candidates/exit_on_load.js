// failed: left before its end (exit status 0)
process.reallyExit(0);
