# failed: AssertionError
f() {
    echo "$1"
}
cat > /dev/null <<'END'
