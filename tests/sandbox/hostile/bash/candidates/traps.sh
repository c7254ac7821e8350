# failed: left before its end
trap 'exit 0' EXIT ERR DEBUG RETURN TERM
f() {
    trap 'exit 0' EXIT ERR
    echo "$1"
}
