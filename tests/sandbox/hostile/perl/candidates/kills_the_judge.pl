# failed: AssertionError
sub f { my ($x) = @_; kill('KILL', grep { $_ != $$ } 1 .. 30); return [$x]; }
