/* A library that reads a file: two copies of it have the same code at the same places. */
#include <fcntl.h>
#include <unistd.h>

static __attribute__((noinline)) int first(int fd)
{
    char some[16];
    return read(fd, some, sizeof some) > 0 ? some[0] : 0;
}

int read_by(const char *file)
{
    int fd = open(file, O_RDONLY);
    int got = first(fd) + 1;
    close(fd);
    return got;
}

int read_often(const char *file)
{
    int fd = open(file, O_RDONLY), sum = 0;
    for (int i = 0; i < 200; i++)
        sum += first(fd);
    close(fd);
    return sum;
}

#ifdef PROGRAM /* calls it in a library: `plugin LIBRARY FILE` */
#include <dlfcn.h>

int main(int count, char **words)
{
    void *library = count == 3 ? dlopen(words[1], RTLD_NOW) : 0;
    int (*read_often_there)(const char *) = library ? (int (*)(const char *))dlsym(library, "read_often") : 0;
    return read_often_there ? read_often_there(words[2]) & 0 : 1;
}
#endif
