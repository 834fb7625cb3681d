/* newcomers HOW FILE COUNT: opens, reads and closes FILE COUNT times; `processes` each time in a child, `beside` itself, beside a child that ends. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void once(const char *name) {
    static char buffer[4096];
    int file = open(name, O_RDONLY);
    if (file < 0 || pread(file, buffer, sizeof buffer, 0) != sizeof buffer || close(file)) {
        perror(name);
        _exit(1);
    }
}

int main(int count, char **words) {
    if (count != 4) return 2;
    for (int left = atoi(words[3]); left > 0; left--) {
        int childs = !strcmp(words[1], "processes");
        pid_t child = fork();
        if (!child) {
            if (childs) once(words[2]);
            _exit(0);
        }
        if (!childs) once(words[2]);
        int status;
        if (child < 0 || waitpid(child, &status, 0) < 0 || status) return 1;
    }
    return 0;
}
