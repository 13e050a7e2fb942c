# What the channel's shell knows; it runs as the agent's user. The host calls one function at a time, and each answers
#   NONCE CODE SIZE\n  bytes  \nNONCE\n
# The nonce tells an answer from anything else that writes here. HALF and QUOTA are set by the host.

LC_ALL=C # for this shell only: lengths are in bytes

answer() { # nonce code size
    printf '%s %s %s\n' "$1" "$2" "$3"
}

run() { # nonce log command
    # Commands give way to the spare shell, which the host uses when they must end.
    [[ -n $NICE ]] || { renice -n 10 $$ >/dev/null 2>&1; NICE=10; }
    # A subshell first, so that the memory killer takes commands before this shell; a session of its own, so that job control is clean.
    (echo 1000 >/proc/self/oom_score_adj; exec setsid bash -c "$3") </dev/null >>"$2" 2>&1
    show "$1" "$2" $?
}

show() { # nonce log code
    local size text
    if ! IFS= read -rd '' -n 4096 text <"$2"; then # short and without a NUL: no process is needed to print it
        answer "$1" "$3" ${#text}
        printf '%s' "$text"
        size=0
    else
        size=$(stat -c %s "$2")
        answer "$1" "$3" "$size"
        if ((size > 2 * HALF)); then
            head -c "$HALF" "$2"
            tail -c "$HALF" "$2"
        else
            head -c "$size" "$2"
        fi
    fi
    printf '\n%s\n' "$1"
    tidy "$2" "$size"
}

tidy() { # log size: after the answer, so that it costs no waiting; often enough for what was left in the background and writes on
    local used file now=${EPOCHREALTIME/[.,]/} # empty before bash 5
    ((!now || now - TIDIED > 100000 || $2 > QUOTA / 16)) || return
    TIDIED=$now
    (($2 <= QUOTA / 4)) || truncate -s $((QUOTA / 4)) "$1"
    used=$(du -sk /output)
    ((${used%%[!0-9]*} * 1024 > QUOTA / 2)) || return
    for file in /output/*; do
        [[ $file == "$1" ]] || : >"$file" # not removed: what still writes to it would keep the room
    done
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

put() { # nonce path size, then the bytes; a code is an errno, and 28 is the end of this shell
    local code=0
    [[ -d ${2%/*} ]] || mkdir -p "${2%/*}" || code=20
    if ((code == 0)) && : >"$2"; then
        head -c "$3" >"$2" || code=28
    else
        [[ ! -d $2 ]] || code=21
        ((code)) || code=13
        head -c "$3" >/dev/null || code=28
    fi
    answer "$1" "$code" 0
    printf '\n%s\n' "$1"
    ((code != 28)) || exec cat >/dev/null # bytes that nobody took must never be read as commands
}

hello() { # nonce
    answer "$1" 0 0
    printf '\n%s\n' "$1"
}
