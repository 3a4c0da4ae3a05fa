# Completion of riotctl and riotd for fish. The programs tell themselves what fits: PROGRAM --complete [WORD...].

function __riot_complete
    set -l words (commandline -opc)
    set -l word (commandline -ct)
    for line in ($words[1] --complete $words[2..-1] "$word" 2>/dev/null)
        if test "$line" = :files
            set -l head (string match -r -- '^--[^=]*=' "$word")
            for path in (__fish_complete_path (string replace -r -- '^--[^=]*=' '' "$word"))
                echo "$head$path"
            end
        else
            echo $line
        end
    end
end

complete -c riotctl -f -a '(__riot_complete)'
complete -c riotd -f -a '(__riot_complete)'
