/* Native transfers: reads and writes of callers that are known already, answered without a step of Python.
 *
 * Whatever is not plain is declined, before anything has been done, and Python answers it: an unknown pair of file and thread, a
 * thread with another name, the page cache, appending, a full segment of the journal, a file that is not in memory, any error. A
 * write whose rest is Python's (set-id bits to be cleared, no room for its record) is done here and finished there.
 *
 * Every function is called with the interpreter's lock held, so nothing here needs a lock of its own. It is let go while a write waits
 * for the file, and while an answer is sent. Layouts of requests and answers: include/uapi/linux/fuse.h, protocol 7.19; of records:
 * recorder/journal.py.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

extern void *PyEval_SaveThread(void);
extern void PyEval_RestoreThread(void *);

#include "stacks.c"
#include "unwinding.c"
#include "walking.c"
#include "sites.c"
#include "metadata.c"
#include "rings.c"
#include "callers.c"

enum { DECLINED, ANSWERED, RING, UNRECORDED };
enum { NO_WRITES, WRITES, WRITES_FOR_OTHERS };
enum { PAIRS = 1024, NAME = 32, NAMES = 2, DATA_AT = 80, FROM_CACHE = 1, READ = 0, WRITE = 1, MARK = 0x4B4F };

struct pair { /* an open file and a thread that uses it, with what a record says of both */
    uint64_t handle;
    int32_t tid, fd;
    uint32_t path, process;
    int32_t writes, names; /* whether writes are done here, and if set-id bits count; how many names are compared */
    int32_t name_fd[NAMES], name_length[NAMES];
    char name[NAMES][NAME];
};

struct state {
    int64_t *armed;   /* in the journal's head: a reader waits to be rung */
    int64_t *place;   /* next free place of the segment; shared with Python */
    int64_t *call;    /* number of the last call; shared with Python */
    unsigned char *segment;
    int64_t records;  /* places of the segment */
    int64_t largest;  /* bytes of a request that is surely a whole call */
    int64_t connection;
    struct stacks *stacks; /* of callers, where their sites are recorded */
    struct pair pairs[PAIRS];
};

struct request { /* struct fuse_in_header, then what fuse_read_in and fuse_write_in have in common */
    uint32_t length, opcode;
    uint64_t unique, node;
    uint32_t uid, gid, pid, padding;
    uint64_t handle, offset;
    uint32_t size, flags;
    uint64_t owner;
};

struct answer {
    uint32_t length;
    int32_t error;
    uint64_t unique;
};

struct record {
    int64_t time_ns, start, size, call;
    uint32_t length, requested, handle, path, process;
    int32_t tid;
    uint16_t errno_;
    uint8_t op, flags;
    uint16_t site, mark;
};

_Static_assert(sizeof(struct record) == 64, "a record has 64 bytes");
_Static_assert(sizeof(struct answer) == 16, "a header of an answer has 16 bytes");
_Static_assert(sizeof(struct request) == 72, "up to the owner of locks");

#include "receiving.c"
#include "slots.c"
#include "altering.c"
#include "commands.c"

int64_t fmrw_sizes(int64_t which)
{
    int64_t sizes[] = {sizeof(struct state), sizeof(struct pair), sizeof(struct stacks), sizeof(struct names), sizeof(struct runner), sizeof(struct slots),
                       offsetof(struct file_info, fh), sizeof(struct unwind_index), PLACE, sizeof(struct reports), sizeof(struct walk),
                       KEPT_RULES * sizeof(struct walk_rule), sizeof(struct receiving)};
    return sizes[which];
}

int64_t fmrw_take(int64_t *counter) { return (*counter)++; }

int64_t fmrw_slot(uint64_t handle, int64_t tid) { return (int64_t)((handle * 31 + (uint64_t)tid) % PAIRS); }

/* Give the site of a request, 0 where sites are not recorded; -1 where it is not known, or nobody knows the pair. */
static int64_t site_for(struct state *state, const struct request *request)
{
    const struct pair *pair = &state->pairs[fmrw_slot(request->handle, request->pid)];
    if (!state->stacks)
        return 0;
    if (pair->handle != request->handle || pair->tid != (int32_t)request->pid)
        return -1;
    return site_of(state->stacks, request->pid);
}

static struct pair *known(struct state *state, const struct request *request)
{
    struct pair *pair = &state->pairs[fmrw_slot(request->handle, request->pid)];
    if (pair->handle != request->handle || pair->tid != (int32_t)request->pid || !pair->handle)
        return NULL;
    if (!state->segment || *state->place >= state->records || request->size >= state->largest)
        return NULL;
    if (request->offset > (uint64_t)INT64_MAX - request->size || request->handle > UINT32_MAX)
        return NULL;
    for (int i = 0; i < pair->names; i++) {
        char now[NAME];
        ssize_t length = pread(pair->name_fd[i], now, NAME, 0);
        if (length != pair->name_length[i] || memcmp(now, pair->name[i], length))
            return NULL;
    }
    return pair;
}

static int record(struct state *state, const struct pair *pair, const struct request *request, int op, int64_t end, uint32_t done, int64_t site)
{
    struct timespec now;
    int64_t place = fmrw_take(state->place);
    volatile struct record *record = (struct record *)(state->segment + place * sizeof(struct record));

    clock_gettime(CLOCK_REALTIME, &now);
    record->time_ns = now.tv_sec * 1000000000LL + now.tv_nsec;
    record->start = (int64_t)request->offset;
    record->size = end;
    record->call = fmrw_take(state->call);
    record->length = done;
    record->requested = request->size;
    record->handle = (uint32_t)pair->handle;
    record->path = pair->path;
    record->process = pair->process;
    record->tid = pair->tid;
    record->op = (uint8_t)op;
    record->site = (uint16_t)site;
    __atomic_store_n(&record->mark, MARK, __ATOMIC_RELEASE);
    return *state->armed ? RING : ANSWERED;
}

/* The lock is let go: the answer wakes a program whose next request wakes another thread, which wants the lock at once. */
static void send_answer(const struct state *state, const void *answer, size_t length)
{
    int connection = (int)state->connection;
    void *thread = PyEval_SaveThread();
    ssize_t sent = write(connection, answer, length);
    PyEval_RestoreThread(thread);
    (void)sent; /* who asked was killed meanwhile, or the connection is gone */
}

/* Answer FUSE_READ; `room` holds the answer, its data begins behind a header. */
int64_t fmrw_read(struct state *state, const struct request *request, unsigned char *room, int64_t size)
{
    if (!request->owner || (int64_t)request->size > size - (int64_t)sizeof(struct answer))
        return DECLINED;
    int64_t site = site_for(state, request); /* first: the interpreter's lock is let go */
    if (site < 0)
        return DECLINED;
    const struct pair *pair = known(state, request);
    if (!pair)
        return DECLINED;
    int64_t end = lseek(pair->fd, 0, SEEK_END), start = (int64_t)request->offset;
    if (end < 0)
        return DECLINED;
    int64_t expected = start >= end ? 0 : end - start < request->size ? end - start : request->size;
    struct iovec part = {room + sizeof(struct answer), request->size};
    if (preadv2(pair->fd, &part, 1, start, RWF_NOWAIT) != expected)
        return DECLINED;
    int code = record(state, pair, request, READ, end, (uint32_t)expected, site);
    struct answer header = {(uint32_t)(sizeof header + expected), 0, request->unique};
    memcpy(room, &header, sizeof header);
    send_answer(state, room, header.length);
    return code;
}

/* Answer FUSE_WRITE; its data lies behind the request. */
int64_t fmrw_write(struct state *state, const struct request *request)
{
    int64_t site = request->flags & FROM_CACHE ? -1 : site_for(state, request);
    const struct pair *pair = site < 0 ? NULL : known(state, request);
    if (!pair || !pair->writes)
        return DECLINED;
    struct pair mine = *pair; /* others may forget it meanwhile; the file stays open until it is released */
    void *thread = PyEval_SaveThread();
    ssize_t done = pwrite(mine.fd, (const char *)request + DATA_AT, request->size, (off_t)request->offset);
    int64_t end = lseek(mine.fd, 0, SEEK_END);
    struct stat status = {0};
    if (mine.writes == WRITES_FOR_OTHERS && request->uid && fstat(mine.fd, &status))
        end = -1;
    PyEval_RestoreThread(thread);
    if (done < 0)
        return DECLINED;
    if (end < 0 || status.st_mode & (S_ISUID | S_ISGID) || !state->segment || *state->place >= state->records)
        return UNRECORDED | (int64_t)done << 2;
    int code = record(state, &mine, request, WRITE, end, (uint32_t)done, site);
    struct {
        struct answer header;
        uint32_t written, padding;
    } answer = {{sizeof answer, 0, request->unique}, (uint32_t)done, 0};
    send_answer(state, &answer, sizeof answer);
    return code;
}
