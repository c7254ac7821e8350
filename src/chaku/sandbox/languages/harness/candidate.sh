# The untrusted process: runs program.sh, then answers the judge's calls on descriptor 3.
# `builtin`: the program may have functions of these names.
source ./program.sh 3<&-
builtin compgen -A function | command tr '\n' ' ' >&3
builtin echo >&3
while builtin read -r -u 3 chaku_count; do
  chaku_words=()
  while ((chaku_count--)); do
    IFS= builtin read -r -d '' -u 3 chaku_word
    chaku_words+=("$chaku_word")
  done
  # What comes after the last line break is the exit status: the output keeps its own line breaks.
  chaku_answer=$("${chaku_words[@]}" 3<&- </dev/null; builtin printf '\n%d' $?)
  chaku_output=${chaku_answer%$'\n'*}
  chaku_size=$(LC_ALL=C; builtin echo ${#chaku_output})
  builtin printf '%d %d\n%s' "${chaku_answer##*$'\n'}" "$chaku_size" "$chaku_output" >&3
done
