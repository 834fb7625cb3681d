/* Native metadata: what a name is, answered inside libfuse's own call, without the interpreter's lock.
 *
 * libfuse calls these instead of Python's callbacks. They answer what the mirror answers (fmrw/capture/mirror/namespace.py) where it does
 * nothing but ask the kernel, in the same way: the directory is opened beneath the root without following any link, and the last
 * component is looked at itself. Whatever is not plain, and whatever fails, is left to Python's callback: names of reports but for those that
 * `reports.c` knows, files that lost their names while open, other file systems, attributes that need the caller's rights.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

#include "reports.c"

enum { SUFFIXES = 4, SUFFIX = 32, LONGEST = 4096, OPENAT2 = 437 };
enum { NO_MAGIC_LINKS = 0x02, NO_LINKS = 0x04, BENEATH = 0x08 }; /* include/uapi/linux/openat2.h */

struct how { /* struct open_how */
    uint64_t flags, mode, resolve;
};

struct context { /* struct fuse_context */
    void *fuse;
    uint32_t uid, gid;
    int32_t pid;
    struct names *names; /* private_data */
    uint32_t umask;
};

struct names { /* one mount */
    int (*getattr)(const char *, struct stat *); /* Python's callbacks */
    int (*getxattr)(const char *, const char *, char *, size_t);
    uint64_t device, answered;
    const int64_t *free; /* threads of the mount that are in no operation of Python's; only read here */
    int64_t inside;      /* of these, those in one of these functions */
    int32_t root, grain, switches; /* whether the rights of others than uid and gid count */
    uint32_t uid, gid;
    int32_t suffixes, suffix_length[SUFFIXES];
    char suffix[SUFFIXES][SUFFIX];
    struct reports *reports; /* NULL where all of them are Python's */
};

static struct context *(*context_of)(void); /* fuse_get_context: of one libfuse, whatever the mounts */

void fmrw_use_context(struct context *(*function)(void)) { context_of = function; }

/* Tell whether a path may be that of a file which has no name any more, or is none that is known here. */
static int hidden(const char *path, size_t length)
{
    static const char begins[] = ".fuse_hidden";
    return path[0] != '/' || length >= LONGEST || !strncmp(strrchr(path, '/') + 1, begins, sizeof begins - 1);
}

/* Tell whether a path may stand for a folder of reports, or for one in it. */
static int may_be_folder(const struct names *names, const char *path)
{
    static const char folder[] = "/.fmrw";
    return names->suffixes && !strncmp(path, folder, sizeof folder - 1);
}

/* Tell which report a path may stand for; -1 for none. */
static int suffix_of(const struct names *names, const char *path, size_t length)
{
    for (int i = 0; i < names->suffixes; i++) {
        size_t ends = (size_t)names->suffix_length[i];
        if (length > ends && !memcmp(path + length - ends, names->suffix[i], ends))
            return i;
    }
    return -1;
}

/* Open the directory of a path beneath the root, and give the last component; -1 where that fails. `opened` is to be closed, if not -1. */
static int directory_of(const struct names *names, const char *path, size_t length, const char **last, int *opened)
{
    struct how how = {O_PATH | O_DIRECTORY | O_CLOEXEC, 0, BENEATH | NO_LINKS | NO_MAGIC_LINKS};
    char head[LONGEST];
    size_t before = (size_t)(strrchr(path, '/') - path);

    *last = before + 1 < length ? path + before + 1 : ".";
    *opened = -1;
    if (!before)
        return names->root;
    memcpy(head, path + 1, before - 1);
    head[before - 1] = 0;
    *opened = (int)syscall(OPENAT2, names->root, head, &how, sizeof how);
    return *opened;
}

/* Begin an operation that may wait for the file system. Where no other thread would be left for the next request, Python begins it, and
 * starts one more (`fmrw.capture.fuse.gate`). */
static int enter(struct names *names)
{
    int64_t inside = __atomic_add_fetch(&names->inside, 1, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(names->free, __ATOMIC_SEQ_CST) > inside)
        return 1;
    __atomic_fetch_sub(&names->inside, 1, __ATOMIC_SEQ_CST);
    return 0;
}

/* End it, before its answer is sent. */
static void leave(struct names *names) { __atomic_fetch_sub(&names->inside, 1, __ATOMIC_SEQ_CST); }

static void count(struct names *names) { __atomic_fetch_add(&names->answered, 1, __ATOMIC_RELAXED); }

/* Describe a report, whose name is nothing real, as Python would; give whether that was done. */
static int describe_report(const struct names *names, const char *path, size_t length, int directory, const char *last, struct stat *status)
{
    int which = names->reports ? suffix_of(names, path, length) : -1;
    char base[LONGEST];

    if (which < 0 || path[length - (size_t)names->suffix_length[which] - 1] == '/' || is_odd(names->reports, path, length) ||
        !looks(names->reports, call_of(names->reports, context_of()->pid)) ||
        !base_of(directory, names->device, last, (size_t)names->suffix_length[which], base, status))
        return 0;
    as_report(status, which);
    return 1;
}

int fmrw_getattr(const char *path, struct stat *status)
{
    struct names *names = context_of()->names;
    size_t length = strlen(path);
    const char *last;
    int opened, directory, failed;

    if (hidden(path, length)) /* a real file wins over a report: those need no look here */
        return names->getattr(path, status);
    if (!enter(names))
        return names->getattr(path, status);
    directory = directory_of(names, path, length, &last, &opened);
    failed = directory < 0 || fstatat(directory, last, status, AT_SYMLINK_NOFOLLOW);
    if (failed && directory >= 0 && errno == ENOENT)
        failed = !describe_report(names, path, length, directory, last, status);
    if (opened >= 0)
        close(opened);
    leave(names);
    if (failed || status->st_dev != names->device)
        return names->getattr(path, status);
    if (names->grain && S_ISREG(status->st_mode))
        status->st_blksize = names->grain;
    count(names);
    return 0;
}

/* Give the name of the file whose attributes those of a name are: its own, or that of the file a report tells about; NULL where Python is to say. */
static const char *source_of(const struct names *names, const char *path, size_t length, int which, int directory, const char *last, char *base)
{
    struct stat status;

    if (which < 0 || !fstatat(directory, last, &status, AT_SYMLINK_NOFOLLOW))
        return last;
    if (errno != ENOENT || !names->reports || path[length - (size_t)names->suffix_length[which] - 1] == '/' ||
        is_odd(names->reports, path, length) || call_of(names->reports, context_of()->pid) == UNKNOWN ||
        !base_of(directory, names->device, last, (size_t)names->suffix_length[which], base, &status))
        return NULL;
    return base;
}

int fmrw_getxattr(const char *path, const char *name, char *value, size_t size)
{
    struct context *context = context_of();
    struct names *names = context->names;
    size_t length = strlen(path);
    const char *last, *source = NULL;
    char place[LONGEST + 64], base[LONGEST];
    int opened, directory, which = suffix_of(names, path, length);
    ssize_t found = -1;
    int code = 0;

    if (hidden(path, length) || may_be_folder(names, path) || (which >= 0 && !names->reports))
        return names->getxattr(path, name, value, size);
    if (names->switches && (context->uid != names->uid || context->gid != names->gid) &&
        strcmp(name, "system.posix_acl_access") && strcmp(name, "system.posix_acl_default"))
        return names->getxattr(path, name, value, size);
    if (!enter(names))
        return names->getxattr(path, name, value, size);
    directory = directory_of(names, path, length, &last, &opened);
    if (directory >= 0)
        source = source_of(names, path, length, which, directory, last, base);
    if (source == base && strcmp(name, "system.posix_acl_access"))
        code = ENODATA; /* a report has no other attributes, and that one only if its file has */
    else if (source) {
        snprintf(place, sizeof place, "/proc/self/fd/%d/%s", directory, source);
        found = lgetxattr(place, name, value, size);
        code = errno;
    }
    if (opened >= 0)
        close(opened);
    leave(names);
    if ((found < 0 && code != ENODATA) || (found >= 0 && source == base))
        return names->getxattr(path, name, value, size);
    count(names);
    return found < 0 ? -ENODATA : (int)found;
}

#include "listing.c"
