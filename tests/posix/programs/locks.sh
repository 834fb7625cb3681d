echo 0 >counter
count() {
    for _ in 1 2 3 4 5; do
        flock lock bash -c 'n=$(<counter); echo $((n + 1)) >counter'
    done
}
count & count & count & count &
wait
cat counter
(
    flock 9
    flock -n lock true || echo held: $?
    flock -n -s lock true || echo held: $?
    flock -w 0.05 lock true || echo waited in vain: $?
) 9>lock
flock -n lock echo free
flock -s lock flock -n -s lock echo shared
flock -s lock flock -n lock true || echo held: $?
flock . true && echo of a folder
