/* Unwind tables: the rule of a place in the code, by the index `.eh_frame_hdr` of its file, where it is one of the usual kind.
 *
 * The usual kind: the frame's address is the stack or the frame pointer plus a number, and registers of the caller are stored at a distance from it.
 * Whatever else a table says, or says wrongly, is declined, and Python works it out (fmrw/capture/sites/cfi.py, whose results these are).
 * A file is read and never mapped, in bounded pieces: it may be cut short at any moment. The interpreter's lock is let go meanwhile, since it may
 * lie on a file system that waits for us.
 *
 * Source: DWARF 5, section 6.4.2; Linux Standard Base Core 5.0, chapter 10.
 */
enum { SEGMENTS = 8, REGISTERS = 17, RETURN_AT = 16, RBP_AT = 6, RSP_AT = 7, STATES = 8, FEW_ROWS = 64 };
enum { COMMON = 256, OWN = 2048, INSTRUCTIONS = 4096, RELATIVE_4 = 0x1B };

struct unwind_index { /* of one file */
    int64_t number;      /* one for each */
    int64_t table, rows; /* place of the rows in the file, and how many */
    uint64_t address;    /* of the index, to which the rows are relative */
    int64_t segments;
    struct {
        uint64_t offset, address, size;
    } segment[SEGMENTS];
};

struct unwind_state {
    int64_t base, distance;
    uint32_t stored; /* a bit for each register */
    int32_t ends;    /* nobody called the function */
    int64_t place[REGISTERS];
};

struct bytes {
    const unsigned char *at, *end;
    int ok;
};

static uint64_t unwind_uleb(struct bytes *bytes)
{
    uint64_t value = 0;
    for (int shift = 0; shift < 63 && bytes->at < bytes->end; shift += 7) {
        unsigned char byte = *bytes->at++;
        value |= (uint64_t)(byte & 0x7F) << shift;
        if (!(byte & 0x80))
            return value;
    }
    bytes->ok = 0;
    return 0;
}

static int64_t unwind_sleb(struct bytes *bytes)
{
    uint64_t value = 0;
    for (int shift = 0; shift < 56 && bytes->at < bytes->end;) {
        unsigned char byte = *bytes->at++;
        value |= (uint64_t)(byte & 0x7F) << shift;
        shift += 7;
        if (!(byte & 0x80))
            return (int64_t)(byte & 0x40 ? value | ~(uint64_t)0 << shift : value);
    }
    bytes->ok = 0;
    return 0;
}

static int64_t unwind_fixed(struct bytes *bytes, int size)
{
    int64_t value = 0;
    if (bytes->end - bytes->at < size) {
        bytes->ok = 0;
        return 0;
    }
    memcpy(&value, bytes->at, (size_t)size);
    bytes->at += size;
    return value;
}

/* Read an entry at an address; give its bytes behind the length, or none. */
static struct bytes unwind_entry(int fd, const struct unwind_index *index, uint64_t address, unsigned char *room, size_t most)
{
    struct bytes none = {room, room, 0};
    for (int64_t i = 0; i < index->segments && i < SEGMENTS; i++) {
        uint64_t within = address - index->segment[i].address;
        if (address < index->segment[i].address || within >= index->segment[i].size)
            continue;
        ssize_t got = pread(fd, room, most, (off_t)(index->segment[i].offset + within));
        uint32_t size = 0;
        if (got < 8)
            return none;
        memcpy(&size, room, 4);
        if (size < 4 || size > (size_t)got - 4)
            return none;
        return (struct bytes){room + 4, room + 4 + size, 1};
    }
    return none;
}

/* Give the address of the description of a place, 0 where there is none. */
static uint64_t unwind_search(int fd, const struct unwind_index *index, uint64_t place)
{
    int32_t rows[2 * (FEW_ROWS + 1)];
    int64_t low = 0, high = index->rows; /* rows before `low` begin at or before the place, those from `high` on behind it */
    while (high - low > FEW_ROWS) {
        int64_t middle = low + (high - low) / 2;
        if (pread(fd, rows, 8, (off_t)(index->table + middle * 8)) != 8)
            return 0;
        if (index->address + (uint64_t)(int64_t)rows[0] <= place)
            low = middle + 1;
        else
            high = middle;
    }
    int64_t first = low ? low - 1 : 0, count = high - first;
    if (count < 1 || pread(fd, rows, (size_t)count * 8, (off_t)(index->table + first * 8)) != count * 8)
        return 0;
    uint64_t found = 0;
    for (int64_t i = 0; i < count; i++)
        if (index->address + (uint64_t)(int64_t)rows[2 * i] <= place)
            found = index->address + (uint64_t)(int64_t)rows[2 * i + 1];
    return found;
}

struct unwind_common {
    uint64_t code;
    int64_t data;
    struct bytes first;
};

/* Read what descriptions have in common; 0 where it is not of the usual kind: "zR", with a routine and its data or without. */
static int unwind_common(struct bytes bytes, struct unwind_common *common)
{
    int pointer = -1;
    if (!bytes.ok || unwind_fixed(&bytes, 4) || unwind_fixed(&bytes, 1) != 1 || bytes.at >= bytes.end || *bytes.at != 'z')
        return 0;
    const unsigned char *letters = bytes.at, *after = memchr(letters, 0, (size_t)(bytes.end - letters));
    if (!after)
        return 0;
    bytes.at = after + 1;
    common->code = unwind_uleb(&bytes);
    common->data = unwind_sleb(&bytes);
    if (unwind_fixed(&bytes, 1) != RETURN_AT)
        return 0;
    uint64_t size = unwind_uleb(&bytes);
    if (!bytes.ok || size > (uint64_t)(bytes.end - bytes.at))
        return 0;
    common->first = (struct bytes){bytes.at + size, bytes.end, 1};
    for (const unsigned char *letter = letters + 1; letter < after; letter++) {
        int64_t told = unwind_fixed(&bytes, 1);
        if (*letter == 'R')
            pointer = (int)told;
        else if (*letter == 'P' && (told & 0x0F) == 0x0B) /* 4 bytes */
            unwind_fixed(&bytes, 4);
        else if (*letter != 'L')
            return 0;
    }
    return bytes.ok && pointer == RELATIVE_4;
}

/* Follow instructions up to a place; 0 where one is not of the usual kind. */
static int unwind_run(struct bytes code, const struct unwind_common *common, uint64_t at, uint64_t place, struct unwind_state *now,
                      const struct unwind_state *initial)
{
    struct unwind_state states[STATES];
    int kept = 0, steps = 0;
    while (code.at < code.end) {
        unsigned char byte = *code.at++, low = byte & 0x3F;
        uint64_t number = low;
        if (++steps > INSTRUCTIONS)
            return 0;
        switch (byte >> 6 ? byte & 0xC0 : byte) {
        case 0x40: /* DW_CFA_advance_loc, and those of 1, 2 and 4 bytes */
        case 0x02:
        case 0x03:
        case 0x04:
            at += common->code * (byte >> 6 ? low : (uint64_t)unwind_fixed(&code, 1 << (byte - 2)));
            if (!code.ok)
                return 0;
            if (at > place)
                return 1;
            break;
        case 0x05: /* DW_CFA_offset_extended */
            number = unwind_uleb(&code); /* falls through */
        case 0x80: /* DW_CFA_offset */
            if (number >= REGISTERS)
                return 0;
            now->place[number] = (int64_t)unwind_uleb(&code) * common->data;
            now->stored |= 1u << number;
            now->ends = now->ends && number != RETURN_AT;
            break;
        case 0xC0: /* DW_CFA_restore */
            if (number >= REGISTERS)
                return 0;
            now->place[number] = initial->place[number];
            now->stored = (now->stored & ~(1u << number)) | (initial->stored & 1u << number);
            now->ends = number == RETURN_AT ? initial->ends : now->ends;
            break;
        case 0x00: /* DW_CFA_nop */
            break;
        case 0x07: /* DW_CFA_undefined */
            if (unwind_uleb(&code) != RETURN_AT)
                return 0;
            now->stored &= ~(1u << RETURN_AT);
            now->ends = 1;
            break;
        case 0x0A: /* DW_CFA_remember_state */
            if (kept >= STATES)
                return 0;
            states[kept++] = *now;
            break;
        case 0x0B: /* DW_CFA_restore_state */
            if (!kept)
                return 0;
            *now = states[--kept];
            break;
        case 0x0C: /* DW_CFA_def_cfa */
            now->base = (int64_t)unwind_uleb(&code);
            now->distance = (int64_t)unwind_uleb(&code);
            break;
        case 0x0D: /* DW_CFA_def_cfa_register */
            now->base = (int64_t)unwind_uleb(&code);
            break;
        case 0x0E: /* DW_CFA_def_cfa_offset */
            now->distance = (int64_t)unwind_uleb(&code);
            break;
        case 0x2E: /* DW_CFA_GNU_args_size */
            unwind_uleb(&code);
            break;
        default:
            return 0;
        }
        if (!code.ok)
            return 0;
    }
    return 1;
}

static int unwind_rule(int fd, const struct unwind_index *index, uint64_t place, struct unwind_state *found, uint64_t *begins)
{
    unsigned char own[OWN], shared[COMMON];
    struct unwind_common common;
    struct unwind_state initial = {.base = RSP_AT, .distance = 8}, blank = initial;
    uint64_t address = unwind_search(fd, index, place);
    struct bytes description = unwind_entry(fd, index, address, own, sizeof own);
    if (!address || !description.ok)
        return 0;
    uint64_t back = (uint32_t)unwind_fixed(&description, 4);
    if (!back || !unwind_common(unwind_entry(fd, index, address + 4 - back, shared, sizeof shared), &common))
        return 0;
    uint64_t begin = address + 8 + (uint64_t)(int64_t)(int32_t)unwind_fixed(&description, 4);
    int32_t size = (int32_t)unwind_fixed(&description, 4); /* signed, as the encoding says */
    uint64_t skipped = unwind_uleb(&description);
    if (!description.ok || size < 0 || place < begin || place - begin >= (uint64_t)size)
        return 0;
    if (skipped > (uint64_t)(description.end - description.at))
        return 0;
    description.at += skipped;
    if (!unwind_run(common.first, &common, begin + (uint64_t)size, place, &initial, &blank))
        return 0;
    *found = initial;
    *begins = begin;
    return unwind_run(description, &common, begin, place, found, &initial);
}

/* Give how many numbers tell the rule of a place: base, distance, first address of the function, and register and distance of each
 * that is stored; 0 where Python must work it out. */
int64_t fmrw_unwind_rule(int64_t fd, const struct unwind_index *index, uint64_t place, int64_t *told)
{
    struct unwind_state found;
    uint64_t begin = 0;
    void *held = PyEval_SaveThread();
    int plain = unwind_rule((int)fd, index, place, &found, &begin);
    PyEval_RestoreThread(held);
    if (!plain || found.ends || (found.base != RSP_AT && found.base != RBP_AT))
        return 0;
    int64_t count = 3;
    told[0] = found.base;
    told[1] = found.distance;
    told[2] = (int64_t)begin;
    for (int number = 0; number < REGISTERS; number++) {
        if (found.stored & 1u << number) {
            told[count++] = number;
            told[count++] = found.place[number];
        }
    }
    return count;
}
