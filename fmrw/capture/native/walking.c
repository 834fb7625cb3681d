/* Walking a stack by unwind tables of the usual kind, all at once (fmrw/capture/sites/unwind.py, which does what is declined here).
 *
 * What is mapped is told by Python: where code lies, with the tables of its file, and the bounds of the stack. Nothing outside of these bounds
 * is read, since a file may be mapped there that only we could give. One thread walks at a time.
 */
enum { WALK_DECLINED, WALK_DONE, WALK_UNKNOWN }; /* Python walks; the whole stack; the code at a place must be told first */
enum { FRAMES = 64, KEPT_RULES = 2048, FIRST_PIECE = 1 << 13 };

struct walk_code {
    struct known_code mapped;
    uint64_t shift; /* what is added to give an address of the linked file */
    int64_t fd;
    const struct unwind_index *index; /* none where the usual tables do not tell of it */
    int32_t module;
    uint8_t stays, interprets; /* it cannot be unloaded; it runs functions that only Python finds */
};

struct walk_rule {
    int64_t number; /* of the index; 0 where there is no rule here */
    uint64_t place;
    struct unwind_state state;
};

struct walk { /* a question and its answer */
    const struct walk_code *codes;
    struct walk_rule *rules;
    int64_t count, memory;
    uint64_t lowest, highest, top, pc; /* bounds of the stack; where the thread waits */
    int64_t frames, words;
    uint64_t place[FRAMES], address[2 * FRAMES], value[2 * FRAMES];
    int64_t code[FRAMES];
};

struct walk_memory {
    const struct walk *walk;
    size_t held;
    unsigned char data[EXTENT];
};

/* Give a word of the stack; 0 where it is not there. */
static int walk_word(struct walk_memory *memory, struct walk *walk, uint64_t address, uint64_t *value)
{
    uint64_t at = address - walk->top;
    if (address < walk->top || at > EXTENT - 8 || walk->words >= 2 * FRAMES)
        return 0;
    if (at + 8 > memory->held) {
        size_t size = at + 8 > FIRST_PIECE ? EXTENT : FIRST_PIECE;
        if (size > walk->highest - walk->top)
            size = walk->highest - walk->top;
        ssize_t got = pread((int)walk->memory, memory->data, size, (off_t)walk->top);
        memory->held = got > 0 ? (size_t)got : 0;
        if (at + 8 > memory->held)
            return 0;
    }
    memcpy(value, memory->data + at, 8);
    walk->address[walk->words] = address;
    walk->value[walk->words++] = *value;
    return 1;
}

static int64_t walk_code_at(const struct walk *walk, uint64_t pc)
{
    int64_t low = 0, high = walk->count;
    while (low < high) {
        int64_t middle = (low + high) / 2;
        if (walk->codes[middle].mapped.begin <= pc)
            low = middle + 1;
        else
            high = middle;
    }
    return low && pc < walk->codes[low - 1].mapped.end ? low - 1 : -1;
}

static int walk_rule(const struct walk *walk, const struct walk_code *code, uint64_t place, struct unwind_state *state)
{
    uint64_t mixed = (place ^ (uint64_t)code->index->number << 40) * 0x9E3779B97F4A7C15u, begin = 0;
    struct walk_rule *kept = &walk->rules[(mixed >> 32) % KEPT_RULES];
    if (kept->number != code->index->number || kept->place != place) {
        struct unwind_state found;
        if (!unwind_rule((int)code->fd, code->index, place, &found, &begin))
            return 0;
        *kept = (struct walk_rule){code->index->number, place, found};
    }
    *state = kept->state;
    return 1;
}

static int walk_stack(struct walk *walk)
{
    struct walk_memory memory;
    struct unwind_state rule;
    uint64_t stored[REGISTERS] = {0}, top = walk->top, pc = walk->pc, frame = 0;
    memory.held = 0;
    walk->frames = walk->words = 0;
    if (top < walk->lowest || top >= walk->highest)
        return WALK_DECLINED;
    while (walk->frames < FRAMES && pc) {
        int64_t number = walk_code_at(walk, pc);
        walk->pc = pc;
        if (number < 0)
            return WALK_UNKNOWN;
        const struct walk_code *code = &walk->codes[number];
        uint64_t place = pc + code->shift;
        if (!code->index || !walk_rule(walk, code, walk->frames ? place - 1 : place, &rule))
            return WALK_DECLINED;
        walk->code[walk->frames] = number;
        walk->place[walk->frames++] = place;
        if (rule.ends)
            return WALK_DONE;
        if (rule.base == RBP_AT && (!stored[RBP_AT] || !walk_word(&memory, walk, stored[RBP_AT], &frame)))
            return WALK_DECLINED;
        if ((rule.base != RSP_AT && rule.base != RBP_AT) || rule.stored & 1u << RSP_AT || !(rule.stored & 1u << RETURN_AT))
            return WALK_DECLINED;
        uint64_t address = (rule.base == RSP_AT ? top : frame) + (uint64_t)rule.distance;
        if (address <= top || !walk_word(&memory, walk, address + (uint64_t)rule.place[RETURN_AT], &pc))
            return WALK_DECLINED;
        for (int each = 0; each < RETURN_AT; each++)
            if (rule.stored & 1u << each)
                stored[each] = address + (uint64_t)rule.place[each];
        top = address;
    }
    return WALK_DONE;
}

int64_t fmrw_walk(struct walk *walk)
{
    void *held = PyEval_SaveThread();
    int64_t done = walk_stack(walk);
    PyEval_RestoreThread(held);
    return done;
}
