/* Reads a file from stacks of many kinds: `stackful KIND FILE`. Nothing is inlined that should be a frame of its own. */
#define _GNU_SOURCE
#include <alloca.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#define APART __attribute__((noinline, noclone))

static const char *file;
static volatile int kept;
static char shared[4096];

APART int take(int at)
{
    char some[64];
    int fd = open(file, O_RDONLY);
    if (fd < 0 || pread(fd, some, sizeof some, at) < 0)
        exit(3);
    kept = some[0];
    close(fd);
    return kept;
}

APART int take_from(int fd)
{
    char some[16];
    if (pread(fd, some, sizeof some, 5) < 0)
        exit(3);
    return some[0];
}

APART int deeper(int levels) { return levels ? deeper(levels - 1) + kept : take(levels); }

APART int with_alloca(int size)
{
    char *room = alloca(size);
    memset(room, size, size);
    int got = take(size);
    return got + room[size / 2];
}

APART int with_array(int size)
{
    char room[size];
    memset(room, size, size);
    int got = with_alloca(size / 2);
    return got + room[got & 7];
}

APART int aligned(int at)
{
    __attribute__((aligned(64))) volatile char room[256];
    room[at] = at;
    return take(at) + room[at];
}

APART int vectored(int at)
{
    char one[10], other[20];
    struct iovec parts[] = {{one, sizeof one}, {other, sizeof other}};
    int fd = open(file, O_RDONLY);
    if (preadv(fd, parts, 2, at) < 0)
        exit(3);
    close(fd);
    return one[0];
}

APART int buffered(int at)
{
    char some[100];
    FILE *stream = fopen(file, "r");
    if (!stream || fseek(stream, at, SEEK_SET) || !fread(some, sizeof some, 1, stream))
        exit(3);
    fclose(stream);
    return some[0];
}

APART int tail(int at) { return at > 1 ? deeper(at - 1) : take(at); }

static void handler(int number) { kept += take(number); }

APART void interrupted(int other_stack)
{
    static char room[1 << 16];
    stack_t stack = {.ss_sp = room, .ss_size = sizeof room};
    struct sigaction action = {.sa_handler = handler, .sa_flags = other_stack ? SA_ONSTACK : 0};
    sigaltstack(&stack, NULL);
    sigaction(SIGUSR1, &action, NULL);
    raise(SIGUSR1);
}

APART void faulting(void)
{
    struct sigaction action = {.sa_handler = handler};
    sigaction(SIGSEGV, &action, NULL);
    action.sa_flags = SA_RESETHAND;
    char *page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct sigaction once = {.sa_handler = handler, .sa_flags = SA_RESETHAND};
    sigaction(SIGSEGV, &once, NULL);
    if (!fork()) {
        *(volatile char *)page = 1; /* the handler reads, and the second fault ends it */
        _exit(0);
    }
    wait(NULL);
}

static void *thread(void *at) { return (void *)(long)deeper((int)(long)at); }

APART void threads(void)
{
    pthread_t known[4];
    for (long i = 0; i < 4; i++)
        pthread_create(&known[i], NULL, thread, (void *)i);
    for (int i = 0; i < 4; i++)
        pthread_join(known[i], NULL);
}

APART void children(void)
{
    pid_t child = vfork();
    if (!child) {
        take(7);
        execl("/proc/self/exe", "stackful", "plain", file, (char *)NULL);
        _exit(3);
    }
    waitpid(child, NULL, 0);
    if (!(child = fork())) {
        deeper(3);
        _exit(0);
    }
    waitpid(child, NULL, 0);
}

static ucontext_t back, away;
static void routine(void) { kept += deeper(2); }

APART void contexts(void)
{
    static char room[1 << 16];
    getcontext(&away);
    away.uc_stack.ss_sp = room, away.uc_stack.ss_size = sizeof room, away.uc_link = &back;
    makecontext(&away, routine, 0);
    swapcontext(&back, &away);
}

APART int writing(int at)
{
    int fd = open(file, O_RDWR);
    if (pwrite(fd, "x", 1, at) != 1)
        exit(3);
    close(fd);
    return at;
}

APART int touch(volatile char *part) { return *part; }

static volatile int done;
static sigjmp_buf retreat;
static void bus(int number) { siglongjmp(retreat, number); }

static void *maps(void *none)
{
    while (!done)
        munmap(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 4096);
    return none;
}

static void *touches(void *at)
{
    int fd = open(file, O_RDONLY);
    for (int i = 0; i < 8; i++) {
        char *part = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, (long)at + i * 4096);
        if (!sigsetjmp(retreat, 1))
            kept += *(volatile char *)part; /* the page cannot be read: it is asked for again, with the lock held */
        munmap(part, 4096);
    }
    done = 1;
    return at;
}

APART void faults_beside(void)
{
    pthread_t one, other;
    signal(SIGBUS, bus);
    pthread_create(&one, NULL, touches, (void *)(1L << 17));
    pthread_create(&other, NULL, maps, NULL);
    while (!done)
        take(1);
    pthread_join(one, NULL);
    pthread_join(other, NULL);
}

static pthread_t first;

static void *outlives(void *at)
{
    pthread_join(first, NULL);
    for (int i = 0; i < 20; i++)
        kept += deeper((int)(long)at);
    exit(0);
}

APART void plugins(const char *one, const char *other)
{
    for (int i = 0; i < 6; i++) {
        void *plugin = dlopen(i & 1 ? other : one, RTLD_NOW);
        int (*read_by)(const char *) = plugin ? (int (*)(const char *))dlsym(plugin, "read_by") : NULL;
        if (!read_by)
            exit(5);
        kept += read_by(file) + read_by(file);
        dlclose(plugin);
    }
}

APART void garbage(void)
{
    static unsigned long words[1 << 15];
    int fd = open(file, O_RDONLY);
    for (int i = 0; i < 1 << 15; i++)
        words[i] = i % 3 ? (unsigned long)rand() << 17 : (unsigned long)&take + (unsigned long)(rand() & 255);
    for (int i = 0; i < 20; i++) {
        unsigned long got, *top = words + 16 + rand() % 1000;
        asm volatile("mov %%rsp, %%r12\n mov %[top], %%rsp\n syscall\n mov %%r12, %%rsp"
                     : "=a"(got)
                     : "0"(17L), "D"(fd), "S"(shared), "d"(64L), [top] "r"(top), "r"((unsigned long)0)
                     : "rcx", "r11", "r12", "r10", "memory");
    }
}

static int compare(const void *one, const void *other) { return take(1) * 0 + *(const int *)one - *(const int *)other; }

int main(int count, char **words)
{
    const char *kind = count > 1 ? words[1] : "plain";
    file = count > 2 ? words[2] : "/dev/null";
    if (!strcmp(kind, "plain"))
        deeper(5), buffered(50), vectored(9), tail(4), writing(3);
    else if (!strcmp(kind, "rooms"))
        with_array(300), with_alloca(77), aligned(13);
    else if (!strcmp(kind, "signals"))
        interrupted(0), interrupted(1), faulting();
    else if (!strcmp(kind, "threads"))
        threads();
    else if (!strcmp(kind, "children"))
        children();
    else if (!strcmp(kind, "contexts"))
        contexts();
    else if (!strcmp(kind, "callbacks")) {
        int numbers[] = {3, 1, 2};
        qsort(numbers, 3, sizeof *numbers, compare);
        shared[0] = numbers[0];
    } else if (!strcmp(kind, "other user")) {
        int fd = open(file, O_RDONLY);
        if (setuid(65534))
            return 4;
        kept = take_from(fd) + take_from(fd);
    } else if (!strcmp(kind, "hidden")) {
        prctl(PR_SET_DUMPABLE, 0);
        deeper(2);
    } else if (!strcmp(kind, "deep"))
        deeper(200);
    else if (!strcmp(kind, "faults beside"))
        faults_beside();
    else if (!strcmp(kind, "touch")) {
        take(1);
        char *part = mmap(NULL, 8192, PROT_READ, MAP_PRIVATE, open(file, O_RDONLY), 0);
        kept = touch(part) + touch(part + 4096);
    } else if (!strcmp(kind, "first thread ends")) {
        pthread_t last;
        deeper(1);
        first = pthread_self();
        pthread_create(&last, NULL, outlives, (void *)3);
        pthread_exit(NULL);
    } else if (!strcmp(kind, "plugins"))
        plugins(words[3], words[4]);
    else if (!strcmp(kind, "garbage"))
        garbage();
    else if (!strcmp(kind, "exec")) {
        deeper(2);
        execl(words[3], words[3], "plain", file, (char *)NULL);
        return 6;
    } else
        return 2;
    return 0;
}
