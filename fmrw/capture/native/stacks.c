/* Known stacks: the call site of a thread that waits, where its stack is the same as once before.
 *
 * A stack is the same when the thread waits at the same place, with the same stack pointer, and every word is the same that its walk
 * has looked at (fmrw/capture/sites); code on it that may be unloaded must be mapped where it was (PROCMAP_QUERY, Linux 6.11,
 * include/uapi/linux/fs.h). Whatever is not known is left to `sites.c`.
 */
enum { THREADS = 256, STACKS = 512, WORDS = 160, EXTENT = 1 << 16, CODES = 8, OFTEN = 256 };
enum { SEEN_NOTHING = -1, SEEN_NEW = -2, SEEN_CODE = -3, SEEN_OFTEN = -4 }; /* `sites.c` tells */

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
    int32_t space, site, extent, words, codes, uses;
    struct known_code code[CODES];
    uint16_t at[WORDS]; /* in words from the top */
    uint64_t value[WORDS];
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

static int asked(int list, uint64_t address, struct mapping_query *query)
{
    *query = (struct mapping_query){.size = sizeof *query, .address = address};
    return !ioctl(list, _IOWR('f', 17, struct mapping_query), query);
}

static int is_mapped(int list, const struct known_code *code)
{
    struct mapping_query query;
    return asked(list, code->begin, &query) && query.begin == code->begin && query.end == code->end && query.offset == code->offset &&
           query.inode == code->inode && query.major == code->major && query.minor == code->minor;
}

/* Give the site of a stack that is known and unchanged; less than 0 where there is none. */
static int64_t known_site(struct known_stack *stacks, const struct known_thread *thread, uint64_t place, uint64_t top)
{
    char memory[EXTENT];
    struct known_stack *stack = &stacks[fmrw_stack_slot(place, top, thread->space)];
    uint64_t version = __atomic_load_n(&stack->version, __ATOMIC_ACQUIRE);
    int32_t extent = stack->extent, words = stack->words, site = stack->site, codes = stack->codes;
    if (!version || version & 1 || stack->place != place || stack->top != top || stack->space != thread->space)
        return SEEN_NOTHING;
    if (extent < 0 || extent > EXTENT || words < 0 || words > WORDS)
        return SEEN_NOTHING;
    if (pread(thread->memory, memory, (size_t)extent, (off_t)top) != extent)
        return SEEN_NOTHING;
    for (int32_t i = 0; i < words; i++) {
        size_t at = (size_t)stack->at[i] * 8;
        if (at + 8 > (size_t)extent || memcmp(memory + at, &stack->value[i], 8))
            return SEEN_NOTHING;
    }
    for (int32_t i = 0; i < codes && i < CODES; i++) {
        if (!is_mapped(thread->list, &stack->code[i]))
            return SEEN_NOTHING;
    }
    if (__atomic_load_n(&stack->version, __ATOMIC_ACQUIRE) != version)
        return SEEN_NOTHING;
    return codes && __atomic_fetch_add(&stack->uses, 1, __ATOMIC_RELAXED) >= OFTEN ? SEEN_OFTEN : site;
}
