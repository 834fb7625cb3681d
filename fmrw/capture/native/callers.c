/* Native callers: what a thread and its process are, read in one go at first sight (fmrw/capture/recorder/sight.py).
 *
 * Where programs are short there is one for every few requests. What is read, and how, is what Python reads without this.
 */
enum { COMM = 32, FACT = 4096, PIDFD_OPEN = 434, PIDFD_OF_THREAD = O_EXCL };
#define PIDFD_GET_INFO 0xC040FF0BUL /* _IOWR(0xff, 11, 64 bytes) */

extern void *Py_BuildValue(const char *, ...);

struct sight {
    int32_t file, leader, pid, ppid; /* descriptors on the names of the thread and of its process's first one; -1: none */
    char comm[COMM + 1], leading[COMM + 1], exe[FACT + 1], command[FACT + 1];
};

struct family { /* the beginning of struct pidfd_info, include/uapi/linux/pidfd.h */
    uint64_t told, control_group;
    uint32_t tid, pid, ppid;
    char rest[36];
};

_Static_assert(sizeof(struct family) == 64, "as its first version");

static int open_entry(int64_t tid, const char *entry)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)tid, entry);
    return open(path, O_RDONLY | O_CLOEXEC);
}

/* Read the beginning of a file and close it; give how much that was. */
static ssize_t read_entry(int64_t tid, const char *entry, char *text)
{
    int file = open_entry(tid, entry);
    ssize_t got = file < 0 ? 0 : read(file, text, FACT);

    if (file >= 0)
        close(file);
    got = got < 0 ? 0 : got;
    text[got] = 0;
    return got;
}

/* Open the name of a thread, and read it; give the descriptor. */
static int named(int64_t tid, char *comm)
{
    int file = open_entry(tid, "comm");
    ssize_t got = file < 0 ? -1 : pread(file, comm, COMM, 0);

    if (got < 0)
        strcpy(comm, "[gone]\n");
    else
        comm[got] = 0;
    return file;
}

/* Ask for the process of a thread and that one's parent through a descriptor on the thread (since Linux 6.13); give whether that was answered. */
static int asked_family(int64_t tid, struct sight *sight)
{
    struct family family = {.told = 1}; /* PIDFD_INFO_PID */
    int file = (int)syscall(PIDFD_OPEN, (int)tid, PIDFD_OF_THREAD);
    int failed = file < 0 || ioctl(file, PIDFD_GET_INFO, &family);

    if (file >= 0)
        close(file);
    if (failed)
        return 0;
    if (family.pid) {
        sight->pid = (int32_t)family.pid;
        sight->ppid = (int32_t)family.ppid;
    }
    return 1;
}

/* The same on older kernels, which takes three times as long. */
static void read_family(int64_t tid, struct sight *sight)
{
    char status[FACT + 1];
    const char *pid, *ppid;

    read_entry(tid, "status", status);
    pid = strstr(status, "\nTgid:\t");
    ppid = pid ? strstr(pid, "\nPPid:\t") : NULL;
    if (ppid) {
        sight->pid = atoi(pid + 7);
        sight->ppid = atoi(ppid + 7);
    }
}

/* Read the path of a thread's program. */
static void read_program(int64_t tid, char *exe)
{
    static const char deleted[] = " (deleted)";
    const ssize_t ends = sizeof deleted - 1;
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/exe", (int)tid);
    ssize_t got = readlink(path, exe, FACT);

    got = got < 0 ? 0 : got;
    if (got >= ends && !memcmp(exe + got - ends, deleted, (size_t)ends))
        got -= ends;
    exe[got] = 0;
}

/* Read the beginning of the command line, words apart by spaces. */
static void read_command(int64_t tid, char *command)
{
    ssize_t got = read_entry(tid, "cmdline", command);

    if (got && !command[got - 1])
        got--;
    for (ssize_t i = 0; i < got; i++)
        if (!command[i])
            command[i] = ' ';
}

static void see_thread(int64_t tid, int64_t whole, int64_t own, int64_t asks, struct sight *sight)
{
    sight->file = named(tid, sight->comm);
    if (sight->file >= 0 && (!asks || !asked_family(tid, sight)))
        read_family(tid, sight);
    if (sight->pid != tid)
        sight->leader = named(sight->pid, sight->leading);
    if (sight->leader < 0)
        strcpy(sight->leading, sight->comm);
    if (whole && sight->file >= 0 && !(own && (sight->pid == own || sight->ppid == own))) {
        read_program(tid, sight->exe);
        read_command(tid, sight->command);
    }
}

/* Give what a `Sight` of Python consists of, as a tuple. `whole`: also what may wait for locks, but for a process of which
 * `own` is the number or the parent; `asks`: whether the kernel may be able to tell the family. */
void *fmrw_sight(int64_t tid, int64_t whole, int64_t own, int64_t asks)
{
    struct sight sight;
    void *thread = PyEval_SaveThread();

    sight.file = sight.leader = -1;
    sight.pid = (int32_t)tid;
    sight.ppid = 0;
    sight.exe[0] = sight.command[0] = 0;
    see_thread(tid, whole, own, asks, &sight);
    PyEval_RestoreThread(thread);
    return Py_BuildValue("(iyiiiyyy)", sight.file, sight.comm, sight.pid, sight.ppid, sight.leader, sight.leading, sight.exe, sight.command);
}

/* Tell which of up to 64 threads are gone, by the descriptors on their names, as bits. */
uint64_t fmrw_gone(const int32_t *files, int64_t many)
{
    uint64_t gone = 0;
    char first;

    for (int64_t i = 0; i < many; i++)
        if (pread(files[i], &first, 1, 0) < 0)
            gone |= (uint64_t)1 << i;
    return gone;
}
