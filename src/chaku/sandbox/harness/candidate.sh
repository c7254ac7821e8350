# The untrusted process: runs program.sh, then answers the judge's calls on descriptor 3.
chaku_status() { return "$1"; }
source ./program.sh 3<&-
compgen -A function | tr '\n' ' ' >&3
echo >&3
while read -r -u 3 chaku_count; do
  chaku_words=()
  while ((chaku_count--)); do
    IFS= read -r -d '' -u 3 chaku_word
    chaku_words+=("$chaku_word")
  done
  # What comes after the last line break is the exit status: the output keeps its own line breaks.
  chaku_answer=$("${chaku_words[@]}" 3<&- </dev/null; printf '\n%d' $?)
  chaku_output=${chaku_answer%$'\n'*}
  LC_ALL=C printf '%d %d\n' "${chaku_answer##*$'\n'}" "$(LC_ALL=C; echo ${#chaku_output})" >&3
  printf '%s' "$chaku_output" >&3
done
