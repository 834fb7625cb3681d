/* Native altering: reads of files that were opened in a slot (`slots.c`), with the bytes altered that the patches of its present run name
 * (fmrw/experiments/patches.py). A thread of the mount stays here, without the interpreter's lock, until a request is Python's.
 */
static const unsigned char *pattern_of(const struct slots *slots, uint64_t key)
{
    for (int64_t i = __atomic_load_n(&slots->patterns, __ATOMIC_ACQUIRE); i--;)
        if (slots->key[i] == (int64_t)key)
            return slots->pattern[i];
    return NULL;
}

/* Alter what lies in a patch of `size` bytes that were read at `offset`; 0 where the pattern is not known. */
static int alter(const struct slots *slots, const struct patch *patch, unsigned char *data, int64_t offset, int64_t size)
{
    int64_t start = patch->start > offset ? patch->start : offset, end = patch->end < offset + size ? patch->end : offset + size;
    const unsigned char *pattern = patch->operation == KEYED ? pattern_of(slots, patch->value) : NULL;

    if (patch->operation == KEYED && !pattern)
        return 0;
    for (int64_t at = start; at < end; at++) {
        unsigned char *byte = data + (at - offset);
        switch (patch->operation) {
        case FILL: *byte = (unsigned char)patch->value; break;
        case ADD: *byte += (unsigned char)patch->value; break;
        case XOR: *byte ^= (unsigned char)patch->value; break;
        case KEYED: *byte ^= pattern[at % PERIOD]; break;
        default: *byte = (unsigned char)(patch->value >> 8 * ((at - patch->start) & 7));
        }
    }
    return 1;
}

/* Alter what was read by all patches, which are sorted and do not overlap; 0 where a pattern is not known. */
static int altered(const struct slots *slots, const char *place, unsigned char *data, int64_t offset, int64_t size)
{
    const struct patch *patches = (const struct patch *)(place + PATCHES_AT);
    int64_t low = 0, high = ((const volatile int64_t *)place)[PATCHES];

    high = high < 0 ? 0 : high > MOST_PATCHES ? MOST_PATCHES : high;
    const struct patch *end = patches + high;
    while (low < high) { /* the first that ends behind the offset */
        int64_t middle = (low + high) / 2;
        if (patches[middle].end <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    for (const struct patch *patch = patches + low; patch < end && patch->start < offset + size; patch++)
        if (!alter(slots, patch, data, offset, size))
            return 0;
    return 1;
}

/* Answer FUSE_READ; 0 where Python has to. */
static int answer_read(struct slots *slots, int connection, const struct request *request, unsigned char *room, int64_t size)
{
    const struct opened *opened = &slots->opened[request->handle % OPENED];
    struct slot *slot = &slots->slot[opened->slot];
    int64_t offset = (int64_t)request->offset, wanted = request->size, done = 0;
    int code = 0;

    if (!(request->handle & OURS) || !opened->used || offset < 0 || wanted > size - (int64_t)sizeof(struct answer))
        return 0;
    if ((request->owner && wanted > slots->largest) || !enter(&slots->names)) /* perhaps a piece of what is asked for */
        return 0;
    if (opened->cut >= 0)
        wanted = opened->cut <= offset ? 0 : opened->cut - offset < wanted ? opened->cut - offset : wanted;
    if (wanted)
        done = pread(opened->fd, room + sizeof(struct answer), (size_t)wanted, offset);
    if (done < 0) {
        code = errno;
        done = 0;
    }
    leave(&slots->names);
    if (opened->altered && present(slot) == opened->generation && !altered(slots, place_of(slot, opened->generation), room + sizeof(struct answer), offset, done))
        return 0;
    struct access access = {
        now_ns(), offset, opened->cut < 0 ? lseek(opened->fd, 0, SEEK_END) : opened->cut, (uint32_t)done, request->size,
        opened->number, opened->file, (int32_t)request->pid, (uint16_t)code, READ, request->owner ? 0 : FROM_PAGE_CACHE,
    };
    fmrw_slot_record(slot, opened->generation, NULL, &access);
    struct answer header = {(uint32_t)(sizeof header + (size_t)done), -code, request->unique};
    memcpy(room, &header, sizeof header);
    count(&slots->names);
    (void)!write(connection, room, header.length); /* who asked was killed meanwhile, or the connection is gone */
    return 1;
}

/* Receive requests and answer them until one is for Python; give its length, or 0 when the mount is gone. */
int64_t fmrw_slots_receive(struct slots *slots, const struct receiving *receiving)
{
    const struct request *request = receiving->request;
    ssize_t length;

    while ((length = next_transfer(receiving)))
        if (request->opcode == OPCODE_WRITE ||
            !answer_read(slots, (int)receiving->connection, request, receiving->room, receiving->room_size))
            break;
    return length;
}
