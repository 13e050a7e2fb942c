# The functions that the host calls in the long-lived shell, which runs as the agent's user. The host calls one at a time, and each answers
#   NONCE CODE SIZE\n  bytes  \nNONCE\n
# The nonce tells an answer from anything else that is written here. The host sets HALF, QUOTA and TIDIED.

LC_ALL=C # for this shell only: lengths are in bytes

answer() { # nonce code size
    printf '%s %s %s\n' "$1" "$2" "$3"
}

run() { # nonce log command
    # Commands have a lower priority than the spare shell, which the host uses to end them.
    [[ -n $NICE ]] || { renice -n 10 $$ >/dev/null 2>&1; NICE=10; }
    clear_way "$2"
    ((TIDIED)) || tidy "$2" 0 # what was running before this shell may have left no room for the log
    # A subshell first, so that the memory killer takes commands before this shell; a session of its own, so that job control is clean.
    (echo 1000 >/proc/self/oom_score_adj; exec setsid bash -c "$3") </dev/null >>"$2" 2>&1
    show "$1" "$2" $?
    tidy "$2" 0
}

clear_way() { # log: earlier commands may have closed its folder, or put something in its place; starts no process where all is well
    [[ -w /output && -x /output ]] || chmod u+rwx /output
    [[ ! -e $1 && ! -L $1 ]] || rm -rf -- "$1"
}

show() { # nonce log code; starts no process for a short output: where a fork bomb has used them up, this shell would end
    local size=0 text
    if [[ ! -f $2 ]]; then # the command has put something else in the log's place; to open a pipe could take forever
        answer "$1" "$3" 0
    elif ! IFS= read -rd '' -n 4096 text <"$2"; then # short and without a NUL: no process is needed to print it
        answer "$1" "$3" ${#text}
        printf '%s' "$text"
    else
        size=$(stat -L -c %s "$2")
        answer "$1" "$3" "$size"
        if ((size > 2 * HALF)); then
            head -c "$HALF" "$2"
            tail -c "$HALF" "$2"
        else
            head -c "$size" "$2"
        fi
    fi
    printf '\n%s\n' "$1"
    ((!size)) || tidy "$2" "$size"
}

tidy() { # log size; called after an answer, so that nobody waits for it; often enough for programs in the background that still write
    local used file now=${EPOCHREALTIME/[.,]/} # empty before bash 5
    ((!now || now - TIDIED > 100000 || $2 > QUOTA / 16)) || return
    TIDIED=${now:-1}
    (($2 <= QUOTA / 4)) || truncate -s $((QUOTA / 4)) "$1"
    used=$(du -sk /output)
    ((${used%%[!0-9]*} * 1024 > QUOTA / 2)) || return
    for file in /output/*; do
        if [[ -f $file && ! -L $file ]]; then
            [[ $file == "$1" ]] || : >"$file" # not removed: the room of a file that a program still writes to would not become free
        else
            rm -rf -- "$file" # no log
        fi
    done
}

peek() { # nonce log limit: the end of an output that may still grow
    local size=0
    [[ ! -f $2 ]] || size=$(stat -L -c %s "$2")
    ((size <= $3)) || size=$3
    answer "$1" 0 "$size"
    ((!size)) || tail -c "$size" "$2" | head -c "$size"
    printf '\n%s\n' "$1"
}

get() { # nonce path limit; a code is an errno
    local code=0 size=0
    if [[ ! -e $2 ]]; then code=2
    elif [[ -d $2 ]]; then code=21
    elif [[ ! -f $2 ]]; then code=22
    elif [[ ! -r $2 ]]; then code=13
    else size=$(stat -L -c %s "$2"); fi
    ((size <= $3)) || code=27
    answer "$1" "$code" "$size"
    ((code)) || head -c "$size" "$2"
    printf '\n%s\n' "$1"
}

put() { # nonce path size, then the bytes; a code is an errno, and this shell ends after 28
    local code=0
    [[ -d ${2%/*} ]] || mkdir -p "${2%/*}" || code=20
    [[ ! -p $2 ]] || code=22 # to open a pipe could take forever
    if ((code == 0)) && : >"$2"; then
        head -c "$3" >"$2" || code=28
    else
        [[ ! -d $2 ]] || code=21
        ((code)) || code=13
        head -c "$3" >/dev/null || code=28
    fi
    answer "$1" "$code" 0
    printf '\n%s\n' "$1"
    ((code != 28)) || exec cat >/dev/null # bytes that were not read must never be taken for commands
}

count_others() { # nonce; the size is how many other processes this user has, also dead ones that nobody has waited for; starts no process
    local folder count=0
    for folder in /proc/[0-9]*; do
        [[ ! -O $folder || $folder == "/proc/$$" ]] || ((count += 1))
    done
    answer "$1" 0 "$count"
    printf '\n%s\n' "$1"
}
