/* The watched program of the benchmarks: one loop of system calls on one file, nanoseconds per call on stdout.
 *
 *     client random FILE CALLS      4 KiB pread at random page-aligned offsets
 *     client sequential FILE ROUNDS 128 KiB read from the first byte to the last, ROUNDS times
 *     client write FILE CALLS       4 KiB pwrite at random page-aligned offsets
 *     client blocks FILE CALLS      as random, a line per 100,000 calls
 *     client stall FILE CALLS       as random, prints the slowest call in nanoseconds; CALLS 0: until stdin ends
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { SMALL = 4096, LARGE = 128 * 1024, BLOCK = 100000 };

static char *buffer;

static int64_t now(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec * 1000000000LL + at.tv_nsec;
}

static void must(int worked, const char *what) {
    if (worked) return;
    perror(what);
    exit(1);
}

static uint64_t next_random(void) { /* xorshift64: the same offsets in every run */
    static uint64_t state = 88172645463325252ULL;
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return state;
}

static off_t random_page(off_t size) { return (off_t)(next_random() % (uint64_t)(size / SMALL)) * SMALL; }

static void read_some(int file, off_t size) {
    must(pread(file, buffer, SMALL, random_page(size)) == SMALL, "pread");
}

static void write_some(int file, off_t size) {
    must(pwrite(file, buffer, SMALL, random_page(size)) == SMALL, "pwrite");
}

static double each(void (*call)(int, off_t), int file, off_t size, long calls) {
    int64_t begun = now();
    for (long done = 0; done < calls; done++) call(file, size);
    return (double)(now() - begun) / (double)calls;
}

static double sequential(int file, long rounds) {
    long calls = 0;
    int64_t begun = now();
    for (long round = 0; round < rounds; round++) {
        must(lseek(file, 0, SEEK_SET) == 0, "lseek");
        for (ssize_t moved; (moved = read(file, buffer, LARGE)) != 0; calls++) must(moved > 0, "read");
    }
    return (double)(now() - begun) / (double)calls;
}

static int input_ended(void) {
    struct pollfd input = {.fd = 0, .events = POLLIN};
    return poll(&input, 1, 0) != 0;
}

static int64_t slowest(int file, off_t size, long calls) {
    int64_t worst = 0;
    for (long done = 0; calls ? done < calls : done % 64 || !input_ended(); done++) {
        int64_t begun = now();
        read_some(file, size);
        int64_t took = now() - begun;
        if (took > worst) worst = took;
    }
    return worst;
}

int main(int count, char *words[]) {
    if (count != 4) return fprintf(stderr, "usage: %s random|sequential|write|blocks|stall FILE COUNT\n", words[0]), 2;
    const char *what = words[1];
    long calls = atol(words[3]);
    int file = open(words[2], strcmp(what, "write") ? O_RDONLY : O_RDWR);
    must(file >= 0, words[2]);
    struct stat known;
    must(fstat(file, &known) == 0, "fstat");
    must(posix_memalign((void **)&buffer, SMALL, LARGE) == 0, "posix_memalign");
    memset(buffer, 'w', LARGE);
    if (!strcmp(what, "random")) printf("%.1f\n", each(read_some, file, known.st_size, calls));
    if (!strcmp(what, "write")) printf("%.1f\n", each(write_some, file, known.st_size, calls));
    if (!strcmp(what, "sequential")) printf("%.1f\n", sequential(file, calls));
    if (!strcmp(what, "stall")) printf("%lld\n", (long long)slowest(file, known.st_size, calls));
    if (!strcmp(what, "blocks"))
        for (long done = 0; done < calls; done += BLOCK, fflush(stdout))
            printf("%.1f\n", each(read_some, file, known.st_size, BLOCK));
    return 0;
}
