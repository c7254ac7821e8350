# output_limit: may hold
line="a line that is printed again and again and again and again and again and again"
for _ in 1 2 3 4 5 6; do line="$line$line"; done # a loop of short lines may use up its time before the disk
while :; do echo "$line"; done
