# failed: left before its end (exit status 0)
BEGIN { require POSIX; POSIX::_exit(0); }
sub f { return [4]; }
