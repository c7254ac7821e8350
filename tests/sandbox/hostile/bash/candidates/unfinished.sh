# compile_error: unexpected end of file
f() {
    echo "$1"
}
cat > /dev/null <<'END'
