/* calls FILE: reads of sizes that a request carries, and of others; makes FILE.csv. `calls -` waits for a line. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static void sure(ssize_t given, ssize_t wanted) {
    if (given != wanted) {
        fprintf(stderr, "%zd instead of %zd: %s\n", given, wanted, strerror(errno));
        exit(1);
    }
}

int main(int count, char **words) {
    if (count < 2) return 2;
    if (!strcmp(words[1], "-")) {
        puts("running");
        fflush(stdout);
        return getchar() == EOF;
    }
    char *buffer = malloc(4 << 20), name[256];
    int file = open(words[1], O_RDONLY);
    for (int n = 0; n < 4; n++) sure(read(file, buffer, 1 << 20), 1 << 20);
    lseek(file, 0, SEEK_SET);
    for (int n = 0; n < 3; n++) sure(read(file, buffer, 300000), 300000);
    sure(pread(file, buffer, 2000000, 5000000), 2000000);
    sure(pread(file, buffer, 100, 7000000), 100);
    struct iovec parts[] = {{buffer, 11}, {buffer + 100, 1500000}};
    sure(preadv(file, parts, 2, 13), 1500011);
    sure(pread(file, buffer, 10, 1500024), 10);
    snprintf(name, sizeof name, "%s.csv", words[1]);
    int made = open(name, O_CREAT | O_EXCL | O_WRONLY, 0644);
    if (made < 0) sure(-1, 0);
    sure(write(made, "mine", 4), 4);
    return close(made);
}
