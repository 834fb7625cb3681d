/* Native reports: what the name of a report is, which stands for a file that is not there (fmrw/capture/reports).
 *
 * Only for callers that Python has let see one before, and that wait in a call which looks at names (`looks`): who makes or removes a
 * name, a process of ours, a 32-bit program, a report that was removed or opened before (`odd`) are Python's.
 */
#include <sched.h>
#include <stdlib.h>

enum { LOOKS = 16, ODD = 256, CALLERS = 64, TRIES = 5, SHORT = 10 /* of a pointer below 4 GiB, as the line writes it */ };
enum { UNKNOWN = -2, OTHER_CALL = -1 };

struct caller { /* one that is no thread of ours; the descriptor answers as long as it lives */
    int32_t tid, fd, busy;
};

struct reports { /* of one mount */
    int32_t looks[LOOKS], many_looks, many_odd; /* more than ODD: all are */
    uint64_t odd[ODD];
    struct caller threads[CALLERS];
};

static uint64_t hash_of(const char *path, size_t length)
{
    uint64_t hash = 14695981039346656037u; /* FNV-1a */
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (unsigned char)path[i]) * 1099511628211u;
    return hash;
}

/* Leave a name to Python from now on. Called with the interpreter's lock held, as the next two are. */
void fmrw_leave_report(struct reports *reports, const char *path)
{
    if (reports->many_odd < ODD)
        reports->odd[reports->many_odd] = hash_of(path, strlen(path));
    if (reports->many_odd <= ODD)
        __atomic_fetch_add(&reports->many_odd, 1, __ATOMIC_RELEASE);
}

static int is_odd(const struct reports *reports, const char *path, size_t length)
{
    int32_t many = __atomic_load_n(&reports->many_odd, __ATOMIC_ACQUIRE);
    uint64_t hash = many ? hash_of(path, length) : 0;
    for (int32_t i = 0; i < many; i++)
        if (i == ODD || reports->odd[i] == hash)
            return 1;
    return 0;
}

static void forget(struct caller *thread)
{
    if (thread->tid)
        close(thread->fd);
    thread->tid = 0;
}

/* Take note of a thread that may see reports. */
void fmrw_know_thread(struct reports *reports, int64_t tid)
{
    struct caller *thread = &reports->threads[tid % CALLERS];
    char name[64];
    int fd;

    if (tid <= 0 || __atomic_exchange_n(&thread->busy, 1, __ATOMIC_ACQUIRE))
        return;
    snprintf(name, sizeof name, "/proc/%d/syscall", (int)tid);
    if (thread->tid != tid && (fd = open(name, O_RDONLY | O_CLOEXEC)) >= 0) {
        forget(thread);
        thread->tid = (int32_t)tid;
        thread->fd = fd;
    }
    __atomic_store_n(&thread->busy, 0, __ATOMIC_RELEASE);
}

void fmrw_forget_threads(struct reports *reports)
{
    for (int i = 0; i < CALLERS; i++)
        forget(&reports->threads[i]);
}

/* Give the number of the call of a 64-bit program that a line of /proc/TID/syscall tells, which is: the number, six arguments, two pointers. */
static int64_t number_of(const char *line)
{
    const char *end = strchr(line, '\n'), *pc, *sp;
    if (!end || line[0] < '0' || line[0] > '9')
        return OTHER_CALL;
    for (pc = end; pc > line && pc[-1] != ' '; pc--)
        ;
    for (sp = pc - 1; sp > line && sp[-1] != ' '; sp--)
        ;
    if (sp <= line || (end - pc <= SHORT && pc - 1 - sp <= SHORT))
        return OTHER_CALL;
    return strtol(line, NULL, 10);
}

/* Give the number of the call that a thread waits in: OTHER_CALL where that cannot be told, UNKNOWN where nobody knows the thread. */
static int64_t call_of(struct reports *reports, int32_t tid)
{
    struct caller *thread = &reports->threads[tid > 0 ? tid % CALLERS : 0];
    char line[256];
    ssize_t got = 0;

    if (tid <= 0 || __atomic_exchange_n(&thread->busy, 1, __ATOMIC_ACQUIRE))
        return UNKNOWN;
    for (int i = 0; thread->tid == tid && i < TRIES; i++) { /* it may be on its way to wait */
        got = pread(thread->fd, line, sizeof line - 1, 0);
        if (got <= 0)
            forget(thread); /* it is gone */
        else if (line[0] != 'r')
            break;
        else
            sched_yield();
    }
    __atomic_store_n(&thread->busy, 0, __ATOMIC_RELEASE);
    if (got <= 0)
        return UNKNOWN;
    line[got] = 0;
    return number_of(line);
}

static int looks(const struct reports *reports, int64_t call)
{
    for (int i = 0; i < reports->many_looks; i++)
        if (reports->looks[i] == call)
            return 1;
    return 0;
}

/* Describe the file that a name tells about, if it is a regular one of the mirrored file system. */
static int base_of(int directory, uint64_t device, const char *last, size_t suffix, char *base, struct stat *status)
{
    size_t length = strlen(last) - suffix;
    memcpy(base, last, length);
    base[length] = 0;
    return !fstatat(directory, base, status, AT_SYMLINK_NOFOLLOW) && S_ISREG(status->st_mode) && status->st_dev == device;
}

/* Make an inode number that no file system gives: `ReportNames._inode`. */
static uint64_t inode_of_report(uint64_t base, int which)
{
    return (uint64_t)1 << 63 | ((base << 4) & (((uint64_t)1 << 63) - 1)) | (uint64_t)which;
}

/* Turn the description of a file into that of its report, which nobody has opened: `ReportFiles._fill`, `permissions.narrowed`. */
static void as_report(struct stat *status, int which)
{
    mode_t kept = status->st_mode & 0444;
    if (status->st_mode & S_IRWXG && !(kept & S_IRWXG))
        kept &= S_IRWXU;
    status->st_mode = S_IFREG | kept;
    status->st_nlink = 1;
    status->st_size = status->st_blocks = 0;
    status->st_ino = inode_of_report(status->st_ino, which);
}
