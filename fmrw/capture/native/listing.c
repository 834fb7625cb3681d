/* Native listing: the entries of a directory, and beside its files the reports of them, handed to libfuse.
 *
 * Called by Python, without the interpreter's lock. It says what the mirror says (fmrw/capture/mirror/passthrough.py) and, where reports are listed,
 * the rules of fmrw/capture/reports/names.py. Where those need Python, it declines before the first entry.
 */
#include <dirent.h>

enum { REAL = 64, NAME_LONGEST = 255, LEFT_TO_PYTHON = 1 };

typedef int (*filler)(void *, const char *, const struct stat *, off_t); /* fuse_fill_dir_t */

struct listing {
    const struct names *names;
    DIR *stream;
    void *buffer;
    filler fill;
    int many;
    char real[REAL][NAME_LONGEST + 1]; /* names of real files that reports would have */
};

/* Give the type bits readdir(3) would, 0 for sockets, FIFOs and devices. */
static mode_t type_of(int directory, const struct dirent *entry)
{
    struct stat status;
    mode_t type = (mode_t)DTTOIF(entry->d_type);
    if (entry->d_type == DT_UNKNOWN)
        type = fstatat(directory, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) ? 0 : status.st_mode & S_IFMT;
    return S_ISREG(type) || S_ISDIR(type) || S_ISLNK(type) ? type : 0;
}

static int give(const struct listing *listing, const char *name, uint64_t inode, mode_t type)
{
    struct stat status = {.st_ino = inode, .st_mode = type};
    return listing->fill(listing->buffer, name, &status, 0) ? -ENOMEM : 0; /* with offset 0 libfuse refuses only for that */
}

/* Collect the real names that end as a report's does; tell whether there is room for all. */
static int collect(struct listing *listing)
{
    struct dirent *entry;
    while ((entry = readdir(listing->stream))) {
        if (suffix_of(listing->names, entry->d_name, strlen(entry->d_name)) < 0)
            continue;
        if (listing->many == REAL || strlen(entry->d_name) > NAME_LONGEST)
            return 0;
        strcpy(listing->real[listing->many++], entry->d_name);
    }
    rewinddir(listing->stream);
    return 1;
}

static int give_reports(const struct listing *listing, const char *base, uint64_t inode)
{
    char name[2 * NAME_LONGEST];
    for (int i = 0, failed; i < listing->names->suffixes; i++) {
        int taken = snprintf(name, sizeof name, "%s%.*s", base, (int)listing->names->suffix_length[i], listing->names->suffix[i]) > NAME_LONGEST;
        for (int k = 0; k < listing->many; k++)
            taken |= !strcmp(listing->real[k], name);
        if (!taken && (failed = give(listing, name, inode_of_report(inode, i), S_IFREG)))
            return failed;
    }
    return 0;
}

static int give_all(const struct listing *listing, int reports)
{
    struct dirent *entry;
    int failed = 0;
    while (!failed && (errno = 0, entry = readdir(listing->stream))) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
            continue;
        mode_t type = type_of(dirfd(listing->stream), entry);
        failed = give(listing, entry->d_name, entry->d_ino, type);
        if (!failed && reports && S_ISREG(type))
            failed = give_reports(listing, entry->d_name, entry->d_ino);
    }
    return failed ? failed : -errno;
}

/* Hand over all entries of a directory whose inode number and whose parent's are given; 0, an error as libfuse takes it, or LEFT_TO_PYTHON. */
int fmrw_list(const struct names *names, int fd, uint64_t inode, uint64_t above, int reports, void *buffer, filler fill)
{
    struct listing listing = {.names = names, .buffer = buffer, .fill = fill};
    int own, failed;

    if (reports && (!names->reports || __atomic_load_n(&names->reports->many_odd, __ATOMIC_ACQUIRE)))
        return LEFT_TO_PYTHON;
    own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (own < 0)
        return LEFT_TO_PYTHON; /* the caller's rights may have been needed */
    if (!(listing.stream = fdopendir(own))) {
        close(own);
        return LEFT_TO_PYTHON;
    }
    if (reports && !collect(&listing))
        failed = LEFT_TO_PYTHON;
    else if (!(failed = give(&listing, ".", inode, S_IFDIR)) && !(failed = give(&listing, "..", above, S_IFDIR)))
        failed = give_all(&listing, reports);
    closedir(listing.stream);
    return failed;
}
