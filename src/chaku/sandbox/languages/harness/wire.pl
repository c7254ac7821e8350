# Values on descriptor 3: a letter, a length, then the text or the items. Plain data only.
use strict;
use warnings;

open(my $channel, '+<&=', 3) or die;
binmode($channel);

sub Chaku::write_value {
    my ($value) = @_;
    return "u\n" if !defined $value;
    if (my $kind = ref $value) {
        return "a" . @$value . "\n" . join("", map { Chaku::write_value($_) } @$value) if $kind eq 'ARRAY';
        return "h" . keys(%$value) . "\n" . join("", map { Chaku::write_value($_) } %$value) if $kind eq 'HASH';
        die "a value is not plain data: $kind\n";
    }
    my $text = "$value";
    my $wide = utf8::is_utf8($text) ? "w" : "s";
    utf8::encode($text) if $wide eq "w";
    return $wide . length($text) . "\n" . $text;
}

sub Chaku::read_value {
    my $line = readline($channel) // '';
    my ($kind, $size) = $line =~ /^([uahsw])(\d{0,9})$/ or die "the other process does not answer\n";
    die "a value is too large\n" if ($size || 0) > 64 * 2**20;
    return undef if $kind eq 'u';
    return [map { Chaku::read_value() } 1 .. $size] if $kind eq 'a';
    return {map { Chaku::read_value() } 1 .. 2 * $size} if $kind eq 'h';
    (read($channel, my $text, $size) // -1) == $size or die "the other process does not answer\n";
    utf8::decode($text) if $kind eq 'w';
    return $text;
}

sub Chaku::send_values {
    print {$channel} Chaku::write_value([@_]);
    $channel->flush;
}
