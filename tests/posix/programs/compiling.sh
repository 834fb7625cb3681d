cat >greet.c <<'END'
#include <stdio.h>
const char *greeting(void);
int main(int count, char **arguments) {
    FILE *out = fopen(arguments[1], "a+");
    fprintf(out, "%s, %d\n", greeting(), count);
    rewind(out);
    char line[80];
    while (fgets(line, sizeof line, out)) fputs(line, stdout);
    return fclose(out) ? 1 : 7;
}
END
echo 'const char *greeting(void) { return "hello"; }' >greeting.c
gcc -O1 -c greet.c greeting.c
gcc -o greet greet.o greeting.o
./greet said || echo status: $?
./greet said || echo status: $?
ar rcsD libgreeting.a greeting.o && ar t libgreeting.a
gcc -o static greet.o -L. -lgreeting && ./static said || echo status: $?
gcc -shared -fPIC -o libgreeting.so greeting.c
gcc -o dynamic greet.o -L. -l:libgreeting.so && LD_LIBRARY_PATH=. ./dynamic said || echo status: $?
strip -o small greet && strip greet && cmp small greet && ./greet said || echo status: $?
cp greet running && mv running greet && ./greet said >/dev/null || echo status: $?
gcc -c -DBROKEN=+ broken.c 2>/dev/null || echo refused: $?
touch -d '2001-01-01' greeting.c
touch -d '2001-01-02' greeting.o
[ greeting.o -nt greeting.c ] && echo up to date
touch -d '2001-01-02 00:00:00.000000001' greeting.c
[ greeting.c -nt greeting.o ] && gcc -O1 -c greeting.c && [ greeting.o -nt greeting.c ] && echo made again
mkdir -p package/inner
echo 'VALUE = 6' >package/__init__.py
echo 'from package import VALUE; print(VALUE * 7)' >package/inner/__main__.py
past package/__init__.py package/inner/__main__.py
"$PYTHON" -m compileall -q package && find package -name '*.pyc' | sort
"$PYTHON" -m package.inner
"$PYTHON" -m zipapp package -m package.inner:print -o app && "$PYTHON" -m zipfile -t app && rm app
