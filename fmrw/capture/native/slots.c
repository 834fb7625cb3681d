/* Native slots: what the mount of experiments (fmrw/experiments/mirror.py) answers for files that are only looked at and read.
 *
 * Reads are answered in `altering.c`; everything else goes to libfuse, which calls the functions below for the plain part of it. They answer as
 * the mirror does; what is not plain, and whatever fails, is left to it. What a slot's present run reads altered stands in the slot's memory
 * (fmrw/experiments/shared.py), and is taken from there: files of another run are neither altered nor recorded.
 */
#include <sched.h>

enum { SLOTS = 256, OPENED = 1024, PATTERNS = 128, PERIOD = 65521, KNOWN = 1 << 17 };
enum { MOST_PATCHES = 1 << 15, MOST_RECORDS = 1 << 16, NAMES_BYTES = 1 << 17, MOST_WORDS = 1 << 22, MOST_OUTPUT = 1 << 16 };
enum { /* a place of a slot's memory */
    PATCHES_AT = 4096,
    NAMES_AT = PATCHES_AT + MOST_PATCHES * 32,
    RECORDS_AT = NAMES_AT + NAMES_BYTES,
    WORDS_AT = RECORDS_AT + MOST_RECORDS * 48,
    OUTPUTS_AT = WORDS_AT + MOST_WORDS,
    PLACE = OUTPUTS_AT + 2 * MOST_OUTPUT + 4096,
    PLACES = 16,
};
enum { GENERATION, DEVICE, INODE, PATCHES, CUT, RECORDS, NAMES_USED, RUN_AT = 16, PRESENT = 40 }; /* numbers in its head */
enum { FILL, ADD, XOR, KEYED, DATA };
enum { OPEN = 2, FROM_PAGE_CACHE = 1 };
enum { WRITING = O_WRONLY | O_RDWR | O_TRUNC, DROPPED = O_DIRECT | O_CREAT | O_EXCL | O_NOCTTY };
#define OURS (1ULL << 62) /* of the number of a handle */
#define NO_NAME UINT32_MAX

struct patch {
    int64_t start, end;
    uint64_t operation, value;
};

struct access {
    int64_t time_ns, start, size;
    uint32_t length, requested, handle, file;
    int32_t tid;
    uint16_t errno_;
    uint8_t op, flags;
};

struct known { /* a name of this run: a table that is searched from the name's hash on */
    uint32_t tag, at, number;
};

struct slot {
    char *memory;
    struct known *known;
    int64_t lock, generation, count; /* of names */
};

struct opened {
    int64_t generation, cut;
    int32_t used, fd, slot, altered;
    uint32_t number, file;
};

struct slots { /* one mount */
    struct names names; /* its root, and Python's `getattr` */
    int (*fgetattr)(const char *, struct stat *, void *), (*open)(const char *, void *), (*release)(const char *, void *);
    int64_t largest; /* bytes of a read that is surely a whole call */
    int64_t lock, numbers, next, count, patterns;
    int64_t key[PATTERNS];
    const unsigned char *pattern[PATTERNS];
    struct slot slot[SLOTS];
    struct opened opened[OPENED];
};

struct file_info { /* struct fuse_file_info of libfuse 2.9 */
    int flags;
    unsigned long fh_old;
    int writepage;
    unsigned direct_io : 1, others : 31;
    uint64_t fh, lock_owner;
};

_Static_assert(sizeof(struct patch) == 32 && sizeof(struct access) == 48, "as in shared.py");

/* Give the generation of the present run. */
static int64_t present(const struct slot *slot)
{
    return __atomic_load_n((int64_t *)slot->memory + PRESENT, __ATOMIC_ACQUIRE);
}

static char *place_of(const struct slot *slot, int64_t generation)
{
    return slot->memory + (int64_t)PLACE * (int64_t)((uint64_t)generation % PLACES);
}

static volatile int64_t *head_of(const struct slot *slot, int64_t generation)
{
    return (volatile int64_t *)place_of(slot, generation);
}

static void hold(int64_t *lock)
{
    while (__atomic_exchange_n(lock, 1, __ATOMIC_ACQUIRE))
        sched_yield();
}

static void let_go(int64_t *lock) { __atomic_store_n(lock, 0, __ATOMIC_RELEASE); }

static struct slots *slots_of(const struct context *context) { return (struct slots *)context->names; }

/* Give the slot of a path and the path in the directory; NULL where that is for Python. */
static struct slot *slot_of(struct slots *slots, const char *path, const char **rest)
{
    int64_t number = 0;
    const char *at = path + 1;

    while (*at >= '0' && *at <= '9' && number < SLOTS)
        number = 10 * number + *at++ - '0';
    if (at == path + 1 || number >= slots->count || (path[1] == '0' && at > path + 2) || (*at && *at != '/'))
        return NULL;
    *rest = *at ? at : "/";
    return hidden(*rest, strlen(*rest)) ? NULL : &slots->slot[number];
}

/* Say what differs from the file beneath (Names._adapt). */
static void adapt(const struct slots *slots, struct stat *status)
{
    const uint64_t foreign = 1ULL << 62, spread = 0x9E3779B97F4A7C15ULL;
    if (status->st_dev != slots->names.device)
        status->st_ino = foreign | ((status->st_ino + status->st_dev * spread) & (foreign - 1));
    if (slots->names.grain && S_ISREG(status->st_mode))
        status->st_blksize = slots->names.grain;
}

static int is_altered(const volatile int64_t *head, const struct stat *status)
{
    return (int64_t)status->st_dev == head[DEVICE] && (int64_t)status->st_ino == head[INODE];
}

int fmrw_slot_getattr(const char *path, struct stat *status)
{
    struct slots *slots = slots_of(context_of());
    const char *rest, *last;
    struct slot *slot = slot_of(slots, path, &rest);
    int opened, directory, failed, code;

    if (!slot || !enter(&slots->names))
        return slots->names.getattr(path, status);
    directory = directory_of(&slots->names, rest, strlen(rest), &last, &opened);
    failed = directory < 0 || fstatat(directory, last, status, AT_SYMLINK_NOFOLLOW);
    code = errno;
    if (opened >= 0)
        close(opened);
    leave(&slots->names);
    if (failed)
        return directory >= 0 && code == ENOENT ? -ENOENT : slots->names.getattr(path, status);
    const volatile int64_t *head = head_of(slot, present(slot));
    if (head[CUT] >= 0 && is_altered(head, status))
        status->st_size = head[CUT];
    adapt(slots, status);
    count(&slots->names);
    return 0;
}

int fmrw_slot_fgetattr(const char *path, struct stat *status, struct file_info *info)
{
    struct slots *slots = slots_of(context_of());
    const struct opened *opened = &slots->opened[info->fh % OPENED];

    if (!(info->fh & OURS))
        return slots->fgetattr(path, status, info);
    if (fstat(opened->fd, status))
        return -errno;
    if (opened->cut >= 0)
        status->st_size = opened->cut;
    adapt(slots, status);
    return 0;
}

/* Give the number of a path in this run; under the lock. */
static uint32_t name_of(struct slot *slot, const char *path, int64_t generation)
{
    volatile int64_t *head = head_of(slot, generation);
    char *names = place_of(slot, generation) + NAMES_AT;
    size_t size = strlen(path) + 1;
    uint32_t hash = 2166136261u; /* FNV-1a */

    if (slot->generation != generation) {
        slot->generation = generation;
        slot->count = 0;
    }
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ (unsigned char)path[i]) * 16777619u;
    uint32_t tag = (uint32_t)generation + 1; /* never that of an unused place */
    struct known *known = &slot->known[hash % KNOWN];
    for (; known->tag == tag; known = &slot->known[++hash % KNOWN])
        if (known->at + size <= NAMES_BYTES && !memcmp(names + known->at, path, size))
            return known->number;
    int64_t used = head[NAMES_USED];
    if (used < 0 || used + (int64_t)size > NAMES_BYTES)
        return NO_NAME;
    memcpy(names + used, path, size);
    head[NAMES_USED] = used + (int64_t)size;
    *known = (struct known){tag, (uint32_t)used, (uint32_t)slot->count++};
    return known->number;
}

/* Add a record if the run is still the present one, with the number of a path if one is given; give that number. */
int64_t fmrw_slot_record(struct slot *slot, int64_t generation, const char *path, const struct access *access)
{
    uint32_t file = access->file;
    volatile int64_t *head = head_of(slot, generation);
    struct access *records = (struct access *)(place_of(slot, generation) + RECORDS_AT);

    hold(&slot->lock);
    if (present(slot) == generation) {
        int64_t place = head[RECORDS];
        if (path)
            file = name_of(slot, path, generation);
        if (place >= 0 && place < MOST_RECORDS) {
            records[place] = *access;
            records[place].file = file;
        }
        head[RECORDS] = place + 1;
    }
    let_go(&slot->lock);
    return file;
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

/* Take a place for an open file; NULL where none is left. */
static struct opened *admitted(struct slots *slots)
{
    struct opened *found = NULL;
    hold(&slots->lock);
    for (int i = 0; i < OPENED && !found; i++) {
        struct opened *opened = &slots->opened[slots->next++ % OPENED];
        if (!opened->used)
            found = opened;
    }
    if (found)
        *found = (struct opened){.used = 1, .number = 1u << 31 | (uint32_t)slots->numbers++};
    let_go(&slots->lock);
    return found;
}

static void dismiss(struct slots *slots, struct opened *opened)
{
    close(opened->fd);
    hold(&slots->lock);
    opened->used = 0;
    let_go(&slots->lock);
}

/* Open a file beneath as `Slots.open` does: without a trace on it, if its owner asks; -1 where that fails. */
static int opened_beneath(const struct slots *slots, const char *path, int flags)
{
    const int plain = (flags & ~DROPPED) | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK;
    const char *last;
    int opened, directory = directory_of(&slots->names, path, strlen(path), &last, &opened), fd = -1;

    if (directory >= 0) {
        fd = openat(directory, last, plain | O_NOATIME);
        if (fd < 0 && errno == EPERM)
            fd = openat(directory, last, plain & ~O_NOATIME);
    }
    if (opened >= 0)
        close(opened);
    return fd;
}

int fmrw_slot_open(const char *path, struct file_info *info)
{
    struct context *context = context_of();
    struct slots *slots = slots_of(context);
    const char *rest;
    struct slot *slot = info->flags & WRITING ? NULL : slot_of(slots, path, &rest);
    struct opened *opened;
    struct stat status;

    if (!slot || !enter(&slots->names))
        return slots->open(path, info);
    int64_t generation = present(slot);
    const volatile int64_t *head = head_of(slot, generation);
    int fd = opened_beneath(slots, rest, info->flags);
    opened = fd < 0 || fstat(fd, &status) ? NULL : admitted(slots);
    leave(&slots->names);
    if (!opened) {
        if (fd >= 0)
            close(fd);
        return slots->open(path, info);
    }
    opened->fd = fd;
    opened->slot = (int32_t)(slot - slots->slot);
    opened->generation = generation;
    opened->altered = is_altered(head, &status);
    opened->cut = opened->altered ? head[CUT] : -1;
    struct access access = {now_ns(), 0, status.st_size, 0, 0, opened->number, NO_NAME, context->pid, 0, OPEN, 0};
    opened->file = (uint32_t)fmrw_slot_record(slot, generation, rest + 1, &access);
    info->fh = OURS | (uint64_t)(opened - slots->opened);
    info->direct_io = 1;
    count(&slots->names);
    return 0;
}

int fmrw_slot_release(const char *path, struct file_info *info)
{
    struct slots *slots = slots_of(context_of());
    if (!(info->fh & OURS))
        return slots->release(path, info);
    dismiss(slots, &slots->opened[info->fh % OPENED]);
    return 0;
}
