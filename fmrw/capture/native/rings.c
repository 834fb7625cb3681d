/* Native rings: whether a process holds an io_uring (fmrw/capture/recorder/rings.py).
 *
 * That is asked whenever a file is opened, and again with the first request on it. Python's way to list the descriptors and to see what each
 * refers to costs a third as much again as the kernel's.
 */
enum { MOST_AT_ONCE = 64, DIGITS = 11 };
enum { NO_RING, HAS_RING, TOO_MANY };

/* List the numbers of descriptors; give how many there are, more than MOST_AT_ONCE where there is no room for all, or an error, negative. */
static int list_descriptors(DIR *folder, char (*numbers)[DIGITS])
{
    struct dirent *entry;
    int many = 0;

    while (many <= MOST_AT_ONCE && (errno = 0, entry = readdir(folder))) {
        if (entry->d_name[0] == '.' || strlen(entry->d_name) >= DIGITS)
            continue;
        if (many < MOST_AT_ONCE)
            strcpy(numbers[many], entry->d_name);
        many++;
    }
    return errno ? -errno : many;
}

static int64_t look_at_descriptors(DIR *folder)
{
    static const char ring[] = "anon_inode:[io_uring]";
    char numbers[MOST_AT_ONCE][DIGITS], target[sizeof ring];
    int many = list_descriptors(folder, numbers);

    if (many < 0)
        return many;
    if (many > MOST_AT_ONCE)
        return TOO_MANY;
    for (int i = 0; i < many; i++) {
        ssize_t size = readlinkat(dirfd(folder), numbers[i], target, sizeof target);
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
    DIR *folder = opendir(path);
    int64_t found = folder ? look_at_descriptors(folder) : -errno;
    if (folder)
        closedir(folder);
    PyEval_RestoreThread(thread);
    return found;
}
