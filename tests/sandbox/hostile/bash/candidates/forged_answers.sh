# failed: AssertionError
for n in {4..20}; do echo "0 1" >&"$n"; done
echo "0 1" >&3
f() {
    echo "$1"
}
