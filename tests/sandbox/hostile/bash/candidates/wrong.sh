# failed: AssertionError: [[ $(candidate 2) = "4" ]]
f() {
    echo "$1"
}
