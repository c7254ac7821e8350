# timed_out: by the clock
while :; do
    sleep 60 &
done
