# timed_out: CPU time
f() {
    trap '' XCPU
    while :; do :; done
}
