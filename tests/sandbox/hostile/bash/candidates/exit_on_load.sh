# failed: left before its end (exit status 0)
f() {
    echo 4
}
exit 0
