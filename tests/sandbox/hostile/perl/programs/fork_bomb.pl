# failed: no more processes
while (1) {
    my $child = fork();
    die "no more processes" if !defined $child;
    sleep(60) if !$child;
}
