# shellcheck shell=bash
# Completion of riotctl and riotd for bash. The programs tell themselves what fits: PROGRAM --complete [WORD...].

_riot()
{
    local words=() count=0 word candidate head=''

    # bash parts words at =; the programs know --name=VALUE and name=VALUE as one.
    for word in "${COMP_WORDS[@]:1:COMP_CWORD}"; do
        if ((count)) && [[ $word == = || ${words[count - 1]} == *= ]]; then
            words[count - 1]+=$word
        else
            words[count++]=$word
        fi
    done
    word=${words[count - 1]}
    [[ $word != *=* ]] || head=${word%%=*}=
    while IFS=$'\t' read -r candidate _; do
        if [[ $candidate == :files ]]; then
            compopt -o default
            continue
        fi
        [[ $candidate != *= ]] || compopt -o nospace
        COMPREPLY+=("${candidate#"$head"}")
    done < <("$1" --complete "${words[@]}" 2> /dev/null)
}

complete -F _riot riotctl riotd
