/* Native rings: whether a process holds an io_uring (fmrw/capture/recorder/rings.py).
 *
 * That is asked whenever a file is opened, and again with the first request on it. Python's way to list the descriptors and to see what each
 * refers to costs a third as much again as the kernel's.
 */
enum { MOST_AT_ONCE = 64, DIGITS = 11, LISTED = 2048 /* bytes */ };
enum { NO_RING, HAS_RING, TOO_MANY };

struct entry { /* struct linux_dirent64, getdents64(2) */
    uint64_t inode;
    int64_t next;
    uint16_t length;
    uint8_t type;
    char name[];
};

/* List the numbers of descriptors; give how many there are, more than MOST_AT_ONCE where there is no room for all, or an error, negative. */
static int list_descriptors(int folder, char (*numbers)[DIGITS])
{
    char entries[LISTED] __attribute__((aligned(8)));
    int many = 0;
    long got = 1;

    while (many <= MOST_AT_ONCE && (got = syscall(SYS_getdents64, folder, entries, sizeof entries)) > 0)
        for (long at = 0; at < got && many <= MOST_AT_ONCE; at += ((struct entry *)(entries + at))->length) {
            const char *name = ((struct entry *)(entries + at))->name;
            if (name[0] == '.' || strlen(name) >= DIGITS)
                continue;
            if (many < MOST_AT_ONCE)
                strcpy(numbers[many], name);
            many++;
        }
    return got < 0 ? -errno : many;
}

static int64_t look_at_descriptors(int folder)
{
    static const char ring[] = "anon_inode:[io_uring]";
    char numbers[MOST_AT_ONCE][DIGITS], target[sizeof ring];
    int many = list_descriptors(folder, numbers);

    if (many < 0)
        return many;
    if (many > MOST_AT_ONCE)
        return TOO_MANY;
    for (int i = 0; i < many; i++) {
        ssize_t size = readlinkat(folder, numbers[i], target, sizeof target);
        if (size < 0 && errno != ENOENT) /* that one has been closed meanwhile */
            return -errno;
        if (size == sizeof ring - 1 && !memcmp(target, ring, sizeof ring - 1))
            return HAS_RING;
    }
    return NO_RING;
}

/* Tell whether a thread's process holds a ring: one of the above, or an error, negative. */
int64_t fmrw_holds_ring(int64_t tid)
{
    void *thread = PyEval_SaveThread();
    char path[64];

    snprintf(path, sizeof path, "/proc/%d/fd", (int)tid);
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int64_t found = folder < 0 ? -errno : look_at_descriptors(folder);
    if (folder >= 0)
        close(folder);
    PyEval_RestoreThread(thread);
    return found;
}
