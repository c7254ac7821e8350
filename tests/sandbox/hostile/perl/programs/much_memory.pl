# out_of_memory: 512 MB
my $x = 'x' x 1_500_000_000;
