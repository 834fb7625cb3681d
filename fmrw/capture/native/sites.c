/* Call sites: the number of the stack that a thread waits with, as long as no step of Python is needed for it.
 *
 * A stack that is known (`stacks.c`) has a number. Another one is walked (`walking.c`); where its frames are those of a stack that has a number,
 * it has that, and is known from now on. Python names what is new: a place in code that it has not told of, a row of frames without a number,
 * and whatever is declined.
 *
 * The interpreter's lock is let go while the kernel is asked: reading a program's memory may wait for a page fault of it that another
 * thread of ours answers. So a stack may be learned meanwhile: `version` is odd while one is written, and another one afterwards.
 * Descriptors are closed, and unwind tables let go, only while nobody looks (`looking`). One thread walks at a time (`walking`).
 */
enum { LOOKING = 64, SPACES = 64, SPACE_CODES = 24, CHAINS = 512 };

struct known_space { /* code of a process, in the order of its addresses */
    int32_t number, settled; /* settled: what may be unloaded is known */
    int64_t count;
    struct walk_code codes[SPACE_CODES];
};

struct known_chain { /* frames that have a number */
    int32_t site, frames, module[FRAMES];
    uint64_t place[FRAMES];
};

struct stacks {
    int64_t looking, walking;
    struct known_thread threads[THREADS];
    struct known_stack stacks[STACKS];
    struct known_space spaces[SPACES];
    struct known_chain chains[CHAINS];
    struct walk_rule rules[KEPT_RULES];
    struct walk walk; /* the last one, and what it was about */
    struct known_thread walker;
    struct known_space space;
    uint64_t place, top;
    int32_t passes; /* mappings on it that may be unloaded */
    struct known_code passing[CODES];
};

/* Note the code on a walked stack that may be unloaded; 0 where it has been already, is too much, or runs functions of Python. */
static int passing(struct stacks *stacks)
{
    stacks->passes = 0;
    for (int64_t i = 0; i < stacks->walk.frames; i++) {
        const struct walk_code *code = &stacks->space.codes[stacks->walk.code[i]];
        int known = code->stays;
        if (code->interprets)
            return 0;
        for (int32_t each = 0; each < stacks->passes && !known; each++)
            known = stacks->passing[each].begin == code->mapped.begin;
        if (known)
            continue;
        if (stacks->passes >= CODES || !is_mapped(stacks->walker.list, &code->mapped))
            return 0;
        stacks->passing[stacks->passes++] = code->mapped;
    }
    return 1;
}

static struct known_chain *chain_slot(struct stacks *stacks)
{
    const struct walk *walk = &stacks->walk;
    uint64_t mixed = (uint64_t)walk->frames;
    for (int64_t i = 0; i < walk->frames; i++)
        mixed = (mixed ^ walk->place[i] ^ (uint64_t)stacks->space.codes[walk->code[i]].module << 40) * 0x9E3779B97F4A7C15u;
    return &stacks->chains[(mixed >> 32) % CHAINS];
}

/* Give the site of the frames of the last walk; SEEN_NEW where they have none. */
static int64_t chain_site(struct stacks *stacks)
{
    const struct walk *walk = &stacks->walk;
    const struct known_chain *chain = chain_slot(stacks);
    if (chain->frames != walk->frames)
        return SEEN_NEW;
    for (int64_t i = 0; i < walk->frames; i++)
        if (chain->place[i] != walk->place[i] || chain->module[i] != stacks->space.codes[walk->code[i]].module)
            return SEEN_NEW;
    return chain->site;
}

static int64_t walked_site(struct stacks *stacks)
{
    struct walk *walk = &stacks->walk;
    struct mapping_query stack;
    if ((stacks->top | stacks->place) >> 32 == 0) /* perhaps of 32 bits */
        return SEEN_NOTHING;
    if (!asked(stacks->walker.list, stacks->top, &stack) || stack.inode)
        return SEEN_NOTHING;
    walk->codes = stacks->space.codes;
    walk->rules = stacks->rules;
    walk->count = stacks->space.count;
    walk->memory = stacks->walker.memory;
    walk->lowest = stack.begin;
    walk->highest = stack.end;
    walk->top = stacks->top;
    walk->pc = stacks->place;
    int64_t done = walk_stack(walk);
    if (done != WALK_DONE)
        return done == WALK_UNKNOWN ? SEEN_CODE : SEEN_NOTHING;
    return walk->frames && passing(stacks) ? chain_site(stacks) : SEEN_NOTHING;
}

/* Know the stack of the last walk again. */
static void learn_walked(struct stacks *stacks, int32_t site)
{
    const struct walk *walk = &stacks->walk;
    uint64_t top = stacks->top, extent = 8;
    for (int64_t i = 0; i < walk->words; i++) {
        uint64_t at = walk->address[i] - top;
        if (at % 8 || at > EXTENT - 8)
            return;
        extent = at + 8 > extent ? at + 8 : extent;
    }
    struct known_stack *stack = &stacks->stacks[fmrw_stack_slot(stacks->place, top, stacks->walker.space)];
    uint64_t version = (stack->version | 1) + 1;
    __atomic_store_n(&stack->version, version - 1, __ATOMIC_SEQ_CST);
    stack->place = stacks->place;
    stack->top = top;
    stack->space = stacks->walker.space;
    stack->site = site;
    stack->extent = (int32_t)extent;
    stack->words = (int32_t)walk->words;
    stack->codes = stacks->passes;
    stack->uses = stacks->space.settled ? INT32_MIN : 0; /* nobody need ask again */
    memcpy(stack->code, stacks->passing, sizeof stack->code);
    for (int64_t i = 0; i < walk->words; i++) {
        stack->at[i] = (uint16_t)((walk->address[i] - top) / 8);
        stack->value[i] = walk->value[i];
    }
    __atomic_store_n(&stack->version, version, __ATOMIC_RELEASE);
}

static int64_t look(struct stacks *stacks, const struct known_thread *thread, int *walks)
{
    char line[256];
    uint64_t top = 0, place = 0;
    ssize_t length = pread(thread->line, line, sizeof line, 0);
    int may_walk = *walks;
    *walks = 0;
    if (length <= 0 || !waits_at(line, length, &top, &place))
        return SEEN_NOTHING;
    int64_t site = known_site(stacks->stacks, thread, place, top);
    int anew = site == SEEN_OFTEN && may_walk && stacks->space.settled;
    if ((site != SEEN_NOTHING && !anew) || !may_walk)
        return site;
    stacks->place = place;
    stacks->top = top;
    *walks = 1;
    return walked_site(stacks);
}

/* Give the number of a waiting thread's site, or why there is none: SEEN_*. With `keep` the walk of a new one is kept for Python. */
static int64_t see(struct stacks *stacks, uint32_t tid, int keep)
{
    struct known_thread thread = stacks->threads[tid % THREADS];
    if (!tid || thread.tid != (int32_t)tid || stacks->looking >= LOOKING)
        return SEEN_NOTHING;
    const struct known_space *space = &stacks->spaces[(uint32_t)thread.space % SPACES];
    int taken = !stacks->walking && space->number == thread.space, walks = taken;
    if (taken) {
        stacks->walking = 1;
        stacks->walker = thread;
        memcpy(&stacks->space, space, offsetof(struct known_space, codes) + (size_t)space->count * sizeof *space->codes);
    }
    stacks->looking++;
    void *held = PyEval_SaveThread();
    int64_t site = look(stacks, &thread, &walks);
    PyEval_RestoreThread(held);
    stacks->looking--;
    if (walks && site >= 0)
        learn_walked(stacks, (int32_t)site);
    if (taken && !(keep && site == SEEN_NEW))
        stacks->walking = 0;
    return site;
}

static int64_t site_of(struct stacks *stacks, uint32_t tid) { return see(stacks, tid, 0); }

int64_t fmrw_site(struct stacks *stacks, int64_t tid) { return site_of(stacks, (uint32_t)tid); }

int64_t fmrw_see(struct stacks *stacks, int64_t tid) { return see(stacks, (uint32_t)tid, 1); }

/* Give the frames of the walk that was kept a number; -1: none. */
void fmrw_number(struct stacks *stacks, int64_t site)
{
    struct known_chain *chain = chain_slot(stacks);
    if (site >= 0) {
        chain->site = (int32_t)site;
        chain->frames = (int32_t)stacks->walk.frames;
        for (int32_t i = 0; i < chain->frames; i++) {
            chain->place[i] = stacks->walk.place[i];
            chain->module[i] = stacks->space.codes[stacks->walk.code[i]].module;
        }
        learn_walked(stacks, (int32_t)site);
    }
    stacks->walking = 0;
}
