# failed: AssertionError
f() {
    exit 0
}
