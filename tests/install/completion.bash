# usage: bash completion.bash FILE    what a shell offers with the completion in FILE
# A shell without the package bash-completion and without options.
. "$1"
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder" && touch A_FILE

# expect "WORDS" OFFERED: the last word is the one that is being typed
expect() {
  read -ra COMP_WORDS <<<"$1"
  [[ $1 == *" " ]] && COMP_WORDS+=("")
  COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) COMPREPLY=()
  _onnxport
  if [[ " ${COMPREPLY[*]} " != *" $2 "* ]]; then
    echo "'$1' offers '${COMPREPLY[*]}', and not '$2'" >&2
    exit 1
  fi
}
all() {
  expect "onnxport ex" export
  expect "onnxport plugins li" list
  expect "onnxport export --dt" --dtype
  expect "onnxport export --dtype f" fp16
  expect "onnxport export -m " A_FILE
  expect "onnxport export -m x --weights " link
  expect "onnxport plugins list --plug" --plugin-dir
}
all
# With that package, of whose functions the file uses two.
_init_completion() {
  words=("${COMP_WORDS[@]}") cword=$COMP_CWORD
  cur="${words[cword]}" prev="${words[cword - 1]}"
}
_filedir() { COMPREPLY+=(A_FILE); }
rm A_FILE
all
