# failed: AssertionError
sub f { my ($x) = @_; return [$x]; }
