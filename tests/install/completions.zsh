# usage: zsh -f completions.zsh FILE <LINES    as completions.bash; in a terminal of its own, without which zsh completes nothing
zmodload zsh/zpty zsh/zselect || exit 77
# next WORDS: what the shell says until it says these; gives up after some seconds
next() {
  said=''
  local piece; integer tries=0
  while [[ $said != *"$1"* ]]; do
    if zpty -rt shell piece; then said+=$piece; else (( ++tries > 6000 )) && return 1; zselect -t 2; fi
  done
}
setup="$(mktemp)"
cat >$setup <<SETUP
PROMPT= RPROMPT= TERM=dumb LISTMAX=10000
unset zle_bracketed_paste
stty -echo columns 1000
fpath=(${(q)1:h} \$fpath)
autoload -Uz compinit && compinit -D -u
zstyle ':completion:*' insert-tab false
bindkey '^I' list-choices
compadd() {
  local -a found
  if [[ \${@[1,(i)(-|--)]} == *-[OAD](| *) ]]; then builtin compadd "\$@"; return; fi
  builtin compadd -O found "\$@"
  (( \$#found )) && print -rl -- "" "OFFERED<\$BUFFER>:"\$^found
  builtin compadd "\$@"
}
over() { print -r -- "" "OVER<\$BUFFER>"; comppostfuncs=(over) }  # which zsh calls once
comppostfuncs=(over)
print READY
SETUP
zpty shell zsh -f -i
zpty -w shell "source ${(q)setup}"
next READY || { print -r -- "no ready: $said"; exit 1 }
while IFS= read -r line; do
  zpty -w -n shell $'\x15'"$line"$'\t'
  next "OVER<$line>" || { print -r -- "no answer: $said"; exit 1 }
  print -rl -- ${(uf)"$(print -r -- ${said//$'\r'/} | sed -n "s/^.*OFFERED<$line>://p")"}
  print .
done
zpty -d shell
rm -f "$setup"
