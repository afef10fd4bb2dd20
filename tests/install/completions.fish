# usage: fish --no-config completions.fish FILE <LINES    as completions.bash
source $argv[1]
while read -l line
    # A value behind its option's sign is offered with the option before it.
    complete --do-complete "$line" | string replace -r '\t.*' '' | string replace -r '^--[a-z-]+=' ''
    echo .
end
