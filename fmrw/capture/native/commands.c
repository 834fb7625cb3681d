/* Native commands: the loop of a slot's runner (fmrw/experiments/runner.py), which starts one command after the other.
 *
 * What a run is lies in the slot's memory (fmrw/experiments/shared.py): the words, the limits, and afterwards what is known of it. The runner
 * has one thread and no handlers of signals, so that a child may use its memory until exec (vfork(2)).
 */
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { AREAS = 16, GRACE_CPU_S = 2, PIDFD_SEND_SIGNAL = 424 };
enum { RUN = 'r', PATIENCE_MS = 20, MOST_UNSAID = PLACES / 2 };
enum { ENDED, OVER_CPU, OVER_TIME };
enum { GONE = -1, SETTLE = -2 }; /* else: a byte that is Python's */

struct run { /* in the head of a place, from RUN_AT on */
    int64_t cpu_ns, wall_ns, memory, output, size; /* of the words: the program, then those of the command, each ended by a NUL */
    int64_t status, taken_ns, used_ns, resident, ended, left, failed, written, sizes[2]; /* of the outputs */
};

struct runner {
    char *slot;              /* its memory */
    char *const *environment;
    char **arguments;        /* kept */
    int64_t room;            /* of `arguments` */
    int64_t memory, output;  /* limits that are set */
    int64_t hard_memory, hard_output;
    int32_t connection, driver, nothing, outputs[2], last_pid, areas, unsaid; /* runs that have ended */
    int32_t area[AREAS];     /* upper halves of overlays, and when they were last changed */
    int64_t changed_s[AREAS], changed_ns[AREAS];
};

static int64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    return clock_gettime(clock, &now) ? 0 : now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void empty(int fd)
{
    if (lseek(fd, 0, SEEK_CUR)) {
        (void)!ftruncate(fd, 0);
        lseek(fd, 0, SEEK_SET);
    }
}

static void limit(int which, int64_t most, int64_t hard)
{
    rlim_t above = hard < 0 ? RLIM_INFINITY : (rlim_t)hard;
    struct rlimit wanted = {(rlim_t)most < above ? (rlim_t)most : above, above};
    setrlimit(which, &wanted);
}

/* Let `arguments` point at the words behind the program; NULL where there is no memory. */
static char **arguments_of(struct runner *runner, char *words, int64_t size)
{
    char *end = words + size;
    int64_t count = 0;

    for (char *at = words + strlen(words) + 1; at < end; at += strlen(at) + 1) {
        if (count + 1 >= runner->room) {
            int64_t room = runner->room * 2 + 64;
            char **larger = realloc(runner->arguments, (size_t)room * sizeof *larger);
            if (!larger)
                return NULL;
            runner->arguments = larger;
            runner->room = room;
        }
        runner->arguments[count++] = at;
    }
    if (!count)
        return NULL;
    runner->arguments[count] = NULL;
    return runner->arguments;
}

/* Start the program; give its process, or -1 and errno. */
static __attribute__((noinline)) pid_t started(const struct runner *runner, const struct run *run, const char *program,
                                               char **arguments)
{
    volatile int failed = 0; /* the child writes it: memory is shared until exec */
    rlim_t most = (rlim_t)(run->cpu_ns / 1000000000 + GRACE_CPU_S);
    struct rlimit cpu = {most, most + 1};
    pid_t pid = vfork();

    if (!pid) {
        setsid();
        for (int number = 0; number < 3; number++)
            if (dup2(number ? runner->outputs[number - 1] : runner->nothing, number) < 0) {
                failed = errno;
                _exit(127);
            }
        setrlimit(RLIMIT_CPU, &cpu); /* its children get it, too */
        execve(program, arguments, runner->environment);
        failed = errno;
        _exit(127);
    }
    if (pid > 0 && failed) {
        waitpid(pid, NULL, 0);
        errno = failed;
        return -1;
    }
    return pid;
}

/* Give the CPU time of a process, its threads included (clock_getcpuclockid(3)). */
static int64_t cpu_of(pid_t pid) { return clock_ns((clockid_t)(~(unsigned)pid << 3 | 2)); }

/* Tell the driver of the runs that have ended; 0 where it is gone. */
static int said(struct runner *runner)
{
    static const char ends[] = {RUN, RUN, RUN, RUN, RUN, RUN, RUN, RUN};
    _Static_assert(sizeof ends >= MOST_UNSAID, "a byte for each");
    ssize_t size = runner->unsaid;
    runner->unsaid = 0;
    return !size || send(runner->connection, ends, (size_t)size, MSG_NOSIGNAL) == size;
}

/* Wait until a command ends or is over its limits; it is killed then, and dead or dying at the return. GONE: the driver is. */
static int waited(struct runner *runner, const struct run *run, pid_t pid, int pidfd, int64_t begun)
{
    struct pollfd watched[] = {{pidfd, POLLIN, 0}, {runner->connection, POLLRDHUP, 0}, {runner->driver, POLLIN, 0}};
    int64_t cpu = run->cpu_ns, wall = run->wall_ns;

    for (;;) {
        int64_t least = cpu < wall ? cpu : wall;
        if (least <= 0) {
            syscall(PIDFD_SEND_SIGNAL, pidfd, SIGKILL, NULL, 0);
            return cpu <= 0 ? OVER_CPU : OVER_TIME;
        }
        least = least / 1000000 + 1;
        if (runner->unsaid && least > PATIENCE_MS)
            least = PATIENCE_MS;
        int ready = poll(watched, 3, least > INT32_MAX ? INT32_MAX : (int)least);
        if (watched[0].revents)
            return ENDED;
        if (ready > 0 || !said(runner))
            return GONE;
        cpu = run->cpu_ns - cpu_of(pid);
        wall = run->wall_ns - (clock_ns(CLOCK_MONOTONIC) - begun);
    }
}

/* Kill every process of this namespace but this one; give how many there were. */
static int64_t end_others(void)
{
    int64_t left = 0;
    pid_t pid;

    while ((pid = waitpid(-1, NULL, WNOHANG)) >= 0) {
        left++;
        if (!pid) {
            kill(-1, SIGKILL);
            waitpid(-1, NULL, 0);
        }
    }
    return left;
}

static int64_t micro(const struct timeval *time) { return time->tv_sec * 1000000000LL + time->tv_usec * 1000LL; }

/* Put the beginnings of the outputs into the slot's memory; 0 where one is longer. */
static int told(const struct runner *runner, struct run *run, char *beginnings)
{
    int whole = 1;
    for (int i = 0; i < 2; i++) {
        run->sizes[i] = lseek(runner->outputs[i], 0, SEEK_END); /* which `empty` looks at */
        if (run->sizes[i] > MOST_OUTPUT)
            whole = 0;
        else if (run->sizes[i])
            (void)!pread(runner->outputs[i], beginnings + i * MOST_OUTPUT, (size_t)run->sizes[i], 0);
    }
    return whole;
}

/* Run the next command to its end; SETTLE where Python has to tell more of its outputs. */
static int run_next(struct runner *runner)
{
    int64_t *present = (int64_t *)runner->slot + PRESENT, generation = *present + 1;
    char *place = runner->slot + (int64_t)PLACE * (generation % PLACES), *words = place + WORDS_AT;
    struct run *run = (struct run *)((int64_t *)place + RUN_AT);
    char **arguments = arguments_of(runner, words, run->size);
    struct rusage used;
    int status;

    run->failed = run->written = 0;
    for (int i = 0; i < 2; i++)
        empty(runner->outputs[i]);
    if (run->memory != runner->memory)
        limit(RLIMIT_DATA, runner->memory = run->memory, runner->hard_memory);
    if (run->output != runner->output)
        limit(RLIMIT_FSIZE, runner->output = run->output, runner->hard_output);
    if (runner->last_pid >= 0)
        (void)!pwrite(runner->last_pid, "1", 1, 0);
    __atomic_store_n(present, generation, __ATOMIC_RELEASE);
    int64_t begun = clock_ns(CLOCK_MONOTONIC);
    errno = ENOMEM;
    pid_t pid = arguments ? started(runner, run, words, arguments) : -1;
    if (pid < 0) {
        run->failed = errno;
        return ENDED;
    }
    int pidfd = (int)syscall(PIDFD_OPEN, pid, 0);
    if (pidfd < 0) { /* no descriptor is left: nobody would see to its limits */
        run->failed = errno;
        kill(pid, SIGKILL);
        end_others();
        return ENDED;
    }
    run->ended = waited(runner, run, pid, pidfd, begun);
    if (run->ended == GONE)
        return GONE;
    wait4(pid, &status, 0, &used);
    run->taken_ns = clock_ns(CLOCK_MONOTONIC) - begun;
    close(pidfd);
    run->left = end_others();
    run->status = status;
    run->used_ns = micro(&used.ru_utime) + micro(&used.ru_stime);
    run->resident = used.ru_maxrss << 10;
    return told(runner, run, place + OUTPUTS_AT) ? ENDED : SETTLE;
}

/* Tell whether anything has come into an overlay. */
static int wrote(const struct runner *runner)
{
    for (int i = 0; i < runner->areas; i++) {
        struct stat status;
        if (fstat(runner->area[i], &status) || status.st_mtim.tv_sec != runner->changed_s[i] ||
            status.st_mtim.tv_nsec != runner->changed_ns[i])
            return 1;
    }
    return 0;
}

/* Run what is asked for until Python is needed: give the byte that it must answer, SETTLE when there is more to tell of a run, or GONE. The driver is told of
 * a few runs at a time: who wakes it for each has it work through cold caches. */
int64_t fmrw_run_commands(struct runner *runner)
{
    for (;;) {
        unsigned char byte;
        ssize_t received = recv(runner->connection, &byte, 1, runner->unsaid ? MSG_DONTWAIT : 0);
        if (received < 0 && errno == EAGAIN && said(runner))
            continue;
        if (received != 1)
            return GONE;
        if (byte != RUN)
            return said(runner) ? byte : GONE;
        int how = run_next(runner);
        if (how == GONE)
            return GONE;
        if (how == SETTLE || wrote(runner))
            return said(runner) ? SETTLE : GONE;
        if (++runner->unsaid >= MOST_UNSAID && !said(runner))
            return GONE;
    }
}
