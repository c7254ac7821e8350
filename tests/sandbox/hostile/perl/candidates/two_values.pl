# failed: returned 2 values, where one is due
# The second stands where the test has what it expects.
sub f {
    my ($x) = @_;
    return ($x, $x);
}
