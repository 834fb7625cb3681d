# Runs checks so that none hides another: all run, all are told at the end, the status says whether all passed. Sourced by tests/run.

told=$(mktemp)

# check NAME COMMAND …: runs one, and notes how it ended.
check() {
    local name=$1 outcome=passed
    shift
    "$@" || outcome="FAILED with status $?"
    printf '%s: %s\n' "$name" "$outcome" >>"$told"
}

# verdict NAME …: tells how each ended; fails unless all of these have run and passed.
verdict() {
    local name status=0
    printf '\n=== checks ===\n'
    for name in "$@"; do
        grep -F "$name: " "$told" || printf '%s: DID NOT END\n' "$name"
        grep -qFx "$name: passed" "$told" || status=1
    done
    return $status
}
