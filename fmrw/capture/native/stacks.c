/* Known stacks: the call site of a thread that waits, where its stack is the same as once before.
 *
 * A stack is the same when the thread waits at the same place, with the same stack pointer, and every word is the same that its walk
 * has looked at (fmrw/capture/sites); code on it that may be unloaded must be mapped where it was (PROCMAP_QUERY, Linux 6.11,
 * include/uapi/linux/fs.h). Whatever is not known is declined, and Python walks the stack.
 *
 * The interpreter's lock is let go while the kernel is asked: reading a program's memory may wait for a page fault of it that another
 * thread of ours answers. So a stack may be learned meanwhile: `version` is odd while one is written, and another one afterwards.
 * Descriptors are closed only while nobody looks (`looking`).
 */
enum { THREADS = 256, STACKS = 512, WORDS = 160, EXTENT = 1 << 16, LOOKING = 64, CODES = 8 };

struct mapping_query { /* struct procmap_query */
    uint64_t size, flags, address, begin, end, rights, page, offset, inode;
    uint32_t major, minor, name_size, id_size;
    uint64_t name, id;
};

struct known_thread {
    int32_t tid, line, memory; /* descriptors on /proc/TID/syscall and mem */
    int32_t space, list;       /* number of its address space; descriptor on maps */
};

struct known_code {
    uint64_t begin, end, offset, inode;
    uint32_t major, minor;
};

struct known_stack {
    uint64_t version, place, top;
    int32_t space, site, extent, words, codes, unused;
    struct known_code code[CODES];
    uint16_t at[WORDS]; /* in words from the top */
    uint64_t value[WORDS];
};

struct stacks {
    int64_t looking;
    struct known_thread threads[THREADS];
    struct known_stack stacks[STACKS];
};

int64_t fmrw_stack_slot(uint64_t place, uint64_t top, int64_t space)
{
    uint64_t mixed = (place ^ top * 0x9E3779B97F4A7C15u ^ (uint64_t)space << 17) * 0xBF58476D1CE4E5B9u;
    return (int64_t)(mixed >> 32) % STACKS;
}

/* Read the line that proc(5) describes: the call's number, six arguments, stack pointer, place. Only reads and writes are known. */
static int waits_at(const char *line, ssize_t length, uint64_t *top, uint64_t *place)
{
    static const char *const calls[] = {"0 ", "17 ", "19 ", "295 ", "327 ", "1 ", "18 ", "20 ", "296 ", "328 "};
    const char *end = line + length;
    int known = 0, words = 0;
    uint64_t value = 0, before = 0;

    for (size_t i = 0; i < sizeof calls / sizeof *calls && !known; i++)
        known = length > 4 && !strncmp(line, calls[i], strlen(calls[i]));
    if (!known)
        return 0;
    for (const char *at = line; at < end; at++) {
        char c = *at;
        if (c == ' ' || c == '\n') {
            words++;
            if (words == 8)
                before = value;
            value = 0;
            if (c == '\n')
                break;
        } else if (c >= '0' && c <= '9') {
            value = value << 4 | (uint64_t)(c - '0');
        } else if (c >= 'a' && c <= 'f') {
            value = value << 4 | (uint64_t)(c - 'a' + 10);
        } else if (c == 'x') {
            value = 0;
        } else {
            return 0;
        }
        if (words == 8)
            *place = value;
    }
    *top = before;
    return words == 9;
}

static int is_mapped(int list, const struct known_code *code)
{
    struct mapping_query query = {.size = sizeof query, .address = code->begin};
    return !ioctl(list, _IOWR('f', 17, struct mapping_query), &query) && query.begin == code->begin && query.end == code->end &&
           query.offset == code->offset && query.inode == code->inode && query.major == code->major && query.minor == code->minor;
}

static int64_t look(struct stacks *stacks, struct known_thread thread)
{
    char line[256], memory[EXTENT];
    uint64_t top = 0, place = 0;
    ssize_t length = pread(thread.line, line, sizeof line, 0);
    if (length <= 0 || !waits_at(line, length, &top, &place))
        return -1;
    struct known_stack *stack = &stacks->stacks[fmrw_stack_slot(place, top, thread.space)];
    uint64_t version = __atomic_load_n(&stack->version, __ATOMIC_ACQUIRE);
    int32_t extent = stack->extent, words = stack->words, site = stack->site, codes = stack->codes;
    if (!version || version & 1 || stack->place != place || stack->top != top || stack->space != thread.space)
        return -1;
    if (extent < 0 || extent > EXTENT || words < 0 || words > WORDS)
        return -1;
    if (pread(thread.memory, memory, (size_t)extent, (off_t)top) != extent)
        return -1;
    for (int32_t i = 0; i < words; i++) {
        size_t at = (size_t)stack->at[i] * 8;
        if (at + 8 > (size_t)extent || memcmp(memory + at, &stack->value[i], 8))
            return -1;
    }
    for (int32_t i = 0; i < codes && i < CODES; i++) {
        if (!is_mapped(thread.list, &stack->code[i]))
            return -1;
    }
    return __atomic_load_n(&stack->version, __ATOMIC_ACQUIRE) == version ? site : -1;
}

/* Give the number of a waiting thread's site; -1 where it is not known. */
static int64_t site_of(struct stacks *stacks, uint32_t tid)
{
    struct known_thread thread = stacks->threads[tid % THREADS];
    if (!tid || thread.tid != (int32_t)tid || stacks->looking >= LOOKING)
        return -1;
    stacks->looking++;
    void *held = PyEval_SaveThread();
    int64_t site = look(stacks, thread);
    PyEval_RestoreThread(held);
    stacks->looking--;
    return site;
}

int64_t fmrw_site(struct stacks *stacks, int64_t tid) { return site_of(stacks, (uint32_t)tid); }
