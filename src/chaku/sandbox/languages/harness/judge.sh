# The tests' process: the candidate's functions are calls on descriptor 3; the tests come from descriptor 4.
chaku_call() {
  local status size answer=
  printf '%d\n' $# >&3
  printf '%s\0' "$@" >&3
  read -r -u 3 status size || exit 70
  # Digits alone: Bash runs the commands that stand in a text which it takes for a number, as in 'a[$(date)]'.
  [[ $status =~ ^[0-9]{1,3}$ && $size =~ ^(0|[1-9][0-9]{0,9})$ ]] || exit 70
  if ((size > 0)); then
    IFS= LC_ALL=C read -r -N "$size" -u 3 answer || exit 70
  fi
  printf '%s' "$answer"
  return "$status"
}

chaku_line() { echo "${1//$'\n'/ }"; }

chaku_tests=$(cat <&4)
read -r -u 3 -a chaku_names || exit 70
for chaku_name in "${chaku_names[@]}"; do
  # A name that means something to Bash, or of a program, is the candidate's only if it is what the tests are about.
  [[ $chaku_name =~ ^[A-Za-z_][A-Za-z_0-9]*$ && $chaku_name != chaku_* ]] || continue
  [[ $chaku_name = "$1" || -z $(type -t "$chaku_name") ]] || continue
  eval "$chaku_name() { chaku_call $chaku_name \"\$@\"; }"
done
exec 4<&-
set -E
trap 'printf "\nAssertionError: %s\n" "$(chaku_line "$BASH_COMMAND")" >&2' ERR
eval "unset chaku_tests"$'\n'"$chaku_tests"
