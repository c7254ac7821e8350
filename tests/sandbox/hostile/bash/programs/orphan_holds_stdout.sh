# passed:
setsid sleep 600 &
disown
echo "the end"
