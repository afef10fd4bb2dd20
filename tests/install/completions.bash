# usage: bash completions.bash FILE <LINES    what bash offers at the end of each line with the completion in FILE: a word
# a line, then one of a dot. A shell without the package bash-completion; with COMPLETION_PACKAGE set, with a function of it.
. "$1"
if [ -n "${COMPLETION_PACKAGE:-}" ]; then
  _filedir() { mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$cur"); }
fi
while IFS= read -r line; do
  # As the shell divides a line: at blanks, and at the sign of --option=value.
  read -ra COMP_WORDS <<<"${line//=/ = }"
  [[ $line == *[\ =] ]] && [[ ${COMP_WORDS[-1]} != = || $line == *" " ]] && COMP_WORDS+=("")
  COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) COMPREPLY=()
  _onnxport
  ((${#COMPREPLY[@]} == 0)) || printf '%s\n' "${COMPREPLY[@]}"
  echo .
done
