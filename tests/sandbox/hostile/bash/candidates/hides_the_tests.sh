# compile_error: unexpected
f() {
    echo "$1"
}
: '
