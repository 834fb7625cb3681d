/* A small parser with functions to be found again: `readers FILE`. */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define APART __attribute__((noinline, noclone))

static int file;
static volatile int entries = 3;
static char room[512];

APART int fetch(int at, int size) { return pread(file, room, size, at) == size ? room[0] : 0; }
APART int read_header(void) { return fetch(0, 32) + 1; }
APART static int read_entry(int at) { return fetch(at, 16) + 2; }
APART int read_directory(void)
{
    int sum = 0;
    for (int i = 0; i < entries; i++)
        sum += read_entry(100 + 16 * i) + sum;
    return sum;
}

int main(int count, char **words)
{
    file = open(words[count - 1], O_RDONLY);
    if (file < 0)
        return 1;
    int got = read_header() + read_directory();
    return got > 1 << 30;
}
