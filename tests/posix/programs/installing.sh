printf '#!/bin/sh\necho installed\n' >program
past program
install program usual
install -m 4750 -o 54321 -g 54400 -D program deep/er/program
install -d -m 1777 -o 54321 common common/inner
install -p -m 644 program common/dated
install -b -S .old -m 600 usual common/dated
install -C -m 644 program common/compared
past common/compared
install -C -m 644 program common/compared
install -t common -m 755 program usual
install program absent/program || echo refused: $?
./common/program
mkdir -m 700 -p private/one
chmod -R u=rwX,g=rX,o= common
chmod g+s,o+t private
chown -R --from=54321 54322:54400 deep common
chgrp -R 54400 private
chmod --reference=private deep
setfacl -R -m u:54321:rX,d:u:54321:rwX private
touch private/made
mkdir private/two
find private | sort | xargs getfacl -n
umask 027
touch masked private/masked
mkdir folder private/folder
touch -r program referenced
touch -m -d 2005-06-07 masked
touch -c absent
touch -a -d '@1000000000.5' masked
stat -c '%n %Y %y' referenced
stat -c '%n %X %Y' masked
mkfifo -m 622 pipe
mknod -m 600 node p
rmdir -p private/one 2>&1 || echo refused: $?
