# output_limit: may hold
while :; do echo "a line that is printed again and again and again and again and again and again"; done
