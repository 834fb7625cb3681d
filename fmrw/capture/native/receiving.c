/* Native receiving: a thread of the mount waits here for requests (fmrw/capture/fuse/loop.py), and goes back to Python with those that Python is
 * to answer.
 *
 * What libfuse answers needs the interpreter's lock only in callbacks that are Python's, and these take it themselves. Python's own loop takes
 * it for each request; where a program asks in many threads at once, as `git status` does, our threads then wait for each other.
 */
typedef void (*processor)(void *, const char *, size_t, void *); /* fuse_session_process */

enum { OPCODE_READ = 15, OPCODE_WRITE = 16 };

struct receiving { /* of one thread */
    struct state *state; /* NULL where reads and writes are Python's */
    struct names *names;
    void *request;
    unsigned char *room; /* answers to reads are put together there */
    int64_t connection, request_size, room_size;
    processor process;
    void *session, *channel;
};

int64_t fmrw_read(struct state *, const struct request *, unsigned char *, int64_t);
int64_t fmrw_write(struct state *, const struct request *);

static int is_transfer(const struct request *request) { return request->opcode == OPCODE_READ || request->opcode == OPCODE_WRITE; }

/* Receive requests, and have libfuse process them, until one reads or writes; give its length, or 0 when the mount is gone. */
static ssize_t next_transfer(const struct receiving *receiving)
{
    for (;;) {
        ssize_t length = read((int)receiving->connection, receiving->request, (size_t)receiving->request_size);
        if (length < 0 && (errno == ENOENT || errno == EAGAIN || errno == EINTR))
            continue; /* who asked was killed before it was taken */
        if (length <= 0)
            return 0;
        if (is_transfer(receiving->request))
            return length;
        receiving->process(receiving->session, receiving->request, (size_t)length, receiving->channel);
    }
}

static int64_t answer_transfer(const struct receiving *receiving)
{
    const struct request *request = receiving->request;
    int64_t code;
    /* a look at the caller's stack may wait for another answer of ours */
    int gated = receiving->state->stacks != NULL;

    if (gated && !enter(receiving->names))
        return DECLINED;
    if (request->opcode == OPCODE_READ)
        code = fmrw_read(receiving->state, request, receiving->room, receiving->room_size);
    else
        code = fmrw_write(receiving->state, request);
    if (gated)
        leave(receiving->names);
    return code;
}

/* Receive requests and answer them until one is for Python. Give its length; 0 when the mount is gone; or, negative, what `fmrw_read` or
 * `fmrw_write` say where Python is to finish. Called with the interpreter's lock held. */
int64_t fmrw_receive(const struct receiving *receiving)
{
    for (;;) {
        void *thread = PyEval_SaveThread();
        ssize_t length = next_transfer(receiving);
        PyEval_RestoreThread(thread);
        int64_t code = length && receiving->state ? answer_transfer(receiving) : DECLINED;
        if (code != ANSWERED)
            return code == DECLINED ? length : -code;
    }
}
