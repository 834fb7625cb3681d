/* Requests through libaio's system calls and io_uring's, which no program here makes otherwise.
 *
 *     asynchronous HOW FILE SIZE COUNT       HOW: read readv write writev, each with aio- ring- or worker- before it
 *     asynchronous worker-create FILE
 *
 * COUNT requests of SIZE bytes are submitted at once, one behind the other; a worker's by threads of the kernel.
 * Prints what each gave. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/io_uring.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { MOST = 16, PARTS = 3 };

static struct iovec vectors[MOST][PARTS];
static char *buffer;
static size_t size;

static void die(const char *what) { perror(what); exit(1); }

static void split(int number) {
    char *at = buffer + number * size;
    size_t third = size / PARTS;
    for (int part = 0; part < PARTS; part++) {
        vectors[number][part].iov_base = at + part * third;
        vectors[number][part].iov_len = part < PARTS - 1 ? third : size - part * third;
    }
}

static void aio(const char *how, int file, int count) {
    aio_context_t context = 0;
    struct iocb blocks[MOST], *pointers[MOST];
    struct io_event events[MOST];
    int vectored = strchr(how, 'v') != NULL, writes = *how == 'w';
    memset(blocks, 0, sizeof blocks);
    for (int n = 0; n < count; n++) {
        blocks[n].aio_fildes = file;
        blocks[n].aio_lio_opcode = vectored ? (writes ? IOCB_CMD_PWRITEV : IOCB_CMD_PREADV) : (writes ? IOCB_CMD_PWRITE : IOCB_CMD_PREAD);
        blocks[n].aio_buf = vectored ? (unsigned long)vectors[n] : (unsigned long)(buffer + n * size);
        blocks[n].aio_nbytes = vectored ? PARTS : size;
        blocks[n].aio_offset = (long long)n * size;
        pointers[n] = blocks + n;
    }
    if (syscall(SYS_io_setup, MOST, &context)) die("io_setup");
    if (syscall(SYS_io_submit, context, count, pointers) != count) die("io_submit");
    if (syscall(SYS_io_getevents, context, count, count, events, NULL) != count) die("io_getevents");
    for (int n = 0; n < count; n++) printf("%lld\n", (long long)events[n].res);
}

struct ring {
    int fd;
    char *submissions, *completions;
    struct io_uring_sqe *requests;
    struct io_uring_params about;
};

static struct ring ring_of(void) {
    struct ring ring;
    memset(&ring, 0, sizeof ring);
    ring.fd = syscall(SYS_io_uring_setup, MOST, &ring.about);
    if (ring.fd < 0) die("io_uring_setup");
    ring.submissions = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, ring.fd, IORING_OFF_SQ_RING);
    ring.completions = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, ring.fd, IORING_OFF_CQ_RING);
    ring.requests = mmap(NULL, MOST * sizeof *ring.requests, PROT_READ | PROT_WRITE, MAP_SHARED, ring.fd, IORING_OFF_SQES);
    if (ring.requests == MAP_FAILED || ring.completions == MAP_FAILED || ring.submissions == MAP_FAILED) die("mmap");
    return ring;
}

static void submit(struct ring *ring, int count) {
    for (int n = 0; n < count; n++) ((unsigned *)(ring->submissions + ring->about.sq_off.array))[n] = n;
    *(unsigned *)(ring->submissions + ring->about.sq_off.tail) = count;
    for (int left = count; left > 0;) {
        int done = syscall(SYS_io_uring_enter, ring->fd, left, count, IORING_ENTER_GETEVENTS, NULL, 0);
        if (done < 0) die("io_uring_enter");
        left -= done;
    }
    struct io_uring_cqe *results = (struct io_uring_cqe *)(ring->completions + ring->about.cq_off.cqes);
    for (int n = 0; n < count; n++) printf("%d\n", results[n].res);
}

static void uring(const char *how, int file, int count, unsigned flags) {
    struct ring ring = ring_of();
    int vectored = strchr(how, 'v') != NULL, writes = *how == 'w';
    for (int n = 0; n < count; n++) {
        struct io_uring_sqe *request = ring.requests + n;
        request->opcode = vectored ? (writes ? IORING_OP_WRITEV : IORING_OP_READV) : (writes ? IORING_OP_WRITE : IORING_OP_READ);
        request->flags = flags | (n < count - 1 ? IOSQE_IO_LINK : 0); /* one after the other */
        request->fd = file;
        request->off = (unsigned long long)n * size;
        request->addr = vectored ? (unsigned long)vectors[n] : (unsigned long)(buffer + n * size);
        request->len = vectored ? PARTS : size;
    }
    submit(&ring, count);
}

static void create(const char *name) {
    struct ring ring = ring_of();
    ring.requests->opcode = IORING_OP_OPENAT;
    ring.requests->flags = IOSQE_ASYNC;
    ring.requests->fd = AT_FDCWD;
    ring.requests->addr = (unsigned long)name;
    ring.requests->open_flags = O_CREAT | O_EXCL | O_WRONLY;
    ring.requests->len = 0644;
    submit(&ring, 1);
}

int main(int count, char **words) {
    const char *how = words[1];
    if (!strcmp(how, "worker-create")) {
        create(words[2]);
        return 0;
    }
    if (count != 5) return 2;
    int file = open(words[2], O_RDWR), requests = atoi(words[4]);
    if (file < 0) die(words[2]);
    size = atol(words[3]);
    buffer = malloc(size * requests);
    memset(buffer, 'x', size * requests);
    for (int n = 0; n < requests; n++) split(n);
    const char *what = strchr(how, '-') + 1;
    if (!strncmp(how, "aio", 3)) aio(what, file, requests);
    else uring(what, file, requests, strncmp(how, "worker", 6) ? 0 : IOSQE_ASYNC);
    return 0;
}
