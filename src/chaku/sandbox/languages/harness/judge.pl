# The tests' process: the candidate's functions are calls on descriptor 3; the tests come from descriptor 4.
my $calls = '';
my $tests = do { open(my $file, '<&=', 4) or die; local $/; readline($file) };

sub Chaku::ask {
    my ($command, $list, @values) = @_;
    Chaku::send_values($command, $list ? 1 : 0, @values);
    my ($kind, @result) = @{ Chaku::read_value() };
    die $result[0] if $kind ne 'done';
    # Of several values in a list, the second would stand where the tests have what they expect.
    die "returned " . @result . " values, where one is due\n" if $command ne 'names' && $list && @result > 1;
    return $list && $command eq 'names' ? @result : $result[-1];
}

END {
    print STDERR "\nAssertionError: the answer to call " . length($calls) . " is wrong\n" if $? == 1;
}

package main;
my @words = qw(WORDS);
my %seen = map { $_ => 1 } @words;
for my $name (Chaku::ask('names', 1, @words)) {
    # Perl's own names keep their meaning, except the name under test.
    next if !$seen{$name} || ($name ne $ARGV[0] && eval { defined prototype("CORE::$name") });
    no strict 'refs';
    *{"main::$name"} = sub { $calls .= '.'; Chaku::ask($name, wantarray, @_) };
}
no strict;
no warnings;
eval "#line 1 \"tests.pl\"\n$tests\n;1" or die $@;
exit 0;
