/* The yardstick: a faithful passthrough on libfuse 2.9 that records nothing.
 *
 *     reference DIR -f -o use_ino,big_writes,attr_timeout=0,entry_timeout=0,negative_timeout=0
 *
 * mounts over DIR and serves what lies below it through a descriptor opened before the mount. Threaded,
 * direct I/O on every open, pread and pwrite (libfuse's read_buf splices and is slower). What fmrw costs above
 * this is what recording costs; a C program cannot do much better than this on the same library.
 *
 * Limits: no locks, special files or change of owner, and extended attributes are read only (`ls -l` asks for two of every
 * file; without an answer the kernel would stop asking): benchmarks need none of them. */
#define FUSE_USE_VERSION 26
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fuse.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

static int root; /* the directory, opened before the mount covers it */

#define RETURN(call) return (call) == -1 ? -errno : 0

static const char *below(const char *path) { return path[1] ? path + 1 : "."; }

static int get_attributes(const char *path, struct stat *found) {
    RETURN(fstatat(root, below(path), found, AT_SYMLINK_NOFOLLOW));
}

static int get_open_attributes(const char *path, struct stat *found, struct fuse_file_info *info) {
    (void)path;
    RETURN(fstat(info->fh, found));
}

static int check_access(const char *path, int mode) { RETURN(faccessat(root, below(path), mode, 0)); }

static int get_attribute(const char *path, const char *name, char *value, size_t room) {
    char beneath[PATH_MAX];
    if (snprintf(beneath, sizeof beneath, "/proc/self/fd/%d/%s", root, below(path)) >= (int)sizeof beneath)
        return -ENAMETOOLONG;
    ssize_t length = lgetxattr(beneath, name, value, room);
    return length == -1 ? -errno : (int)length;
}

static int read_link(const char *path, char *target, size_t room) {
    ssize_t length = readlinkat(root, below(path), target, room - 1);
    if (length == -1) return -errno;
    target[length] = '\0';
    return 0;
}

static int open_directory(const char *path, struct fuse_file_info *info) {
    int descriptor = openat(root, below(path), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    DIR *directory = descriptor == -1 ? NULL : fdopendir(descriptor);
    if (!directory) return -errno;
    info->fh = (uintptr_t)directory;
    return 0;
}

static int read_directory(const char *path, void *out, fuse_fill_dir_t fill, off_t offset,
                          struct fuse_file_info *info) {
    (void)path, (void)offset;
    DIR *directory = (DIR *)(uintptr_t)info->fh;
    struct dirent *entry;
    rewinddir(directory);
    while ((entry = readdir(directory))) {
        struct stat known = {.st_ino = entry->d_ino, .st_mode = (mode_t)DTTOIF(entry->d_type)};
        if (fill(out, entry->d_name, &known, 0)) break;
    }
    return 0;
}

static int close_directory(const char *path, struct fuse_file_info *info) {
    (void)path;
    RETURN(closedir((DIR *)(uintptr_t)info->fh));
}

static int open_with(const char *path, int flags, mode_t mode, struct fuse_file_info *info) {
    int descriptor = openat(root, below(path), flags | O_NOFOLLOW, mode);
    if (descriptor == -1) return -errno;
    info->fh = (uint64_t)descriptor;
    info->direct_io = 1;
    return 0;
}

static int open_file(const char *path, struct fuse_file_info *info) {
    return open_with(path, info->flags & ~O_APPEND, 0, info);
}

static int create_file(const char *path, mode_t mode, struct fuse_file_info *info) {
    return open_with(path, (info->flags & ~O_APPEND) | O_CREAT, mode, info);
}

static int close_file(const char *path, struct fuse_file_info *info) {
    (void)path;
    RETURN(close((int)info->fh));
}

static int read_file(const char *path, char *out, size_t size, off_t offset, struct fuse_file_info *info) {
    (void)path;
    ssize_t moved = pread((int)info->fh, out, size, offset);
    return moved == -1 ? -errno : (int)moved;
}

static int write_file(const char *path, const char *data, size_t size, off_t offset, struct fuse_file_info *info) {
    (void)path;
    ssize_t moved = pwrite((int)info->fh, data, size, offset);
    return moved == -1 ? -errno : (int)moved;
}

static int sync_file(const char *path, int only_data, struct fuse_file_info *info) {
    (void)path;
    RETURN(only_data ? fdatasync((int)info->fh) : fsync((int)info->fh));
}

static int truncate_open(const char *path, off_t size, struct fuse_file_info *info) {
    (void)path;
    RETURN(ftruncate((int)info->fh, size));
}

static int truncate_path(const char *path, off_t size) {
    int descriptor = openat(root, below(path), O_WRONLY | O_NOFOLLOW);
    if (descriptor == -1) return -errno;
    int failed = ftruncate(descriptor, size) == -1 ? -errno : 0;
    close(descriptor);
    return failed;
}

static int remove_file(const char *path) { RETURN(unlinkat(root, below(path), 0)); }
static int remove_directory(const char *path) { RETURN(unlinkat(root, below(path), AT_REMOVEDIR)); }
static int make_directory(const char *path, mode_t mode) { RETURN(mkdirat(root, below(path), mode)); }
static int rename_path(const char *from, const char *to) { RETURN(renameat(root, below(from), root, below(to))); }
static int link_symbolic(const char *target, const char *path) { RETURN(symlinkat(target, root, below(path))); }
static int link_hard(const char *from, const char *to) { RETURN(linkat(root, below(from), root, below(to), 0)); }
static int change_mode(const char *path, mode_t mode) { RETURN(fchmodat(root, below(path), mode, 0)); }

static int set_times(const char *path, const struct timespec times[2]) {
    RETURN(utimensat(root, below(path), times, AT_SYMLINK_NOFOLLOW));
}

static int get_statistics(const char *path, struct statvfs *found) {
    (void)path;
    RETURN(fstatvfs(root, found));
}

static const struct fuse_operations OPERATIONS = {
    .getattr = get_attributes, .fgetattr = get_open_attributes, .access = check_access, .readlink = read_link, .getxattr = get_attribute,
    .opendir = open_directory, .readdir = read_directory, .releasedir = close_directory,
    .open = open_file, .create = create_file, .release = close_file, .read = read_file, .write = write_file,
    .fsync = sync_file, .truncate = truncate_path, .ftruncate = truncate_open, .unlink = remove_file,
    .rmdir = remove_directory, .mkdir = make_directory, .rename = rename_path, .symlink = link_symbolic,
    .link = link_hard, .chmod = change_mode, .utimens = set_times, .statfs = get_statistics,
    .flag_nullpath_ok = 1, .flag_utime_omit_ok = 1,
};

int main(int count, char *words[]) {
    root = count > 1 ? open(words[1], O_RDONLY | O_DIRECTORY) : -1;
    if (root == -1) {
        fprintf(stderr, "usage: %s DIR -f [-o OPTIONS]: DIR must be a directory that can be opened\n", words[0]);
        return 2;
    }
    umask(0);
    return fuse_main(count, words, &OPERATIONS, NULL);
}
