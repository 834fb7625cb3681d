/* A parser of a format made up for tests, so that what each byte does to it is known. `test_planted.py` has the layout and the truth. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static unsigned char buffer[1 << 20];

static unsigned le16(const unsigned char *at) { return at[0] | at[1] << 8; }
static unsigned be16(const unsigned char *at) { return at[0] << 8 | at[1]; }
static uint32_t le32(const unsigned char *at) { return le16(at) | (uint32_t)le16(at + 2) << 16; }

int main(int count, char **words)
{
    unsigned char head[64];
    int fd = open(words[count - 1], O_RDONLY);
    if (fd < 0 || read(fd, head, sizeof head) != sizeof head || memcmp(head, "PLNT", 4)) {
        fprintf(stderr, "no magic\n");
        return 2;
    }
    putchar(head[6] & 1 ? head[7] : head[8]); /* a selector, and what it selects */
    if (head[9] > 100)                        /* a threshold */
        return 3;
    if (!(head[10] & 4)) /* one flag */
        return 4;
    if (head[11] == 0xEE) /* one fatal value */
        abort();
    if (memcmp(head + 28, "BACK", 4) && memcmp(head + 60, "BACK", 4)) { /* a magic and its back-up */
        fprintf(stderr, "neither magic\n");
        return 5;
    }
    unsigned payload = le16(head + 48), at = 64; /* lengths that are checked themselves */
    if (payload != be16(head + 50))
        return 6;
    if (pread(fd, buffer, payload, at) != (ssize_t)payload)
        return 7;
    unsigned sum = 0;
    for (unsigned i = 0; i < payload; i++)
        sum += buffer[i];
    if ((sum & 0xFFFF) != le16(head + 32)) { /* a checksum */
        fprintf(stderr, "bad sum\n");
        return 8;
    }
    at += payload;
    pread(fd, buffer, 32, at); /* what is printed */
    for (int i = 0; i < 32; i++)
        printf("%02x", buffer[i]);
    at += 32;
    pread(fd, buffer, 16, at); /* a sum by exclusive or */
    unsigned char mixed = 0;
    for (int i = 0; i < 16; i++)
        mixed ^= buffer[i];
    if (mixed != head[34])
        return 9;
    at += 16;
    pread(fd, buffer, 32, at); /* what nobody looks at */
    at += 32;
    for (int i = 35; i < 43 && head[i]; i++) /* a terminator */
        putchar(head[i]);
    int votes = head[44] == head[45] ? head[44] : head[45] == head[46] ? head[45] : head[44] == head[46] ? head[44] : 0;
    printf(" %d %d\n", votes, 100 / head[25]); /* two of three, and a divisor */
    pread(fd, buffer, le32(head + 12), at);
    pread(fd, buffer, be16(head + 16), at);
    pread(fd, buffer, 8, le32(head + 18));
    pread(fd, buffer, 8, 4 * be16(head + 22));
    for (unsigned i = 0; i < head[24]; i++)
        pread(fd, buffer, 4, at + 4 * i);
    for (unsigned i = 0; i < 64; i += head[26]) /* a step */
        pread(fd, buffer, 1, at + i);
    return 0;
}
