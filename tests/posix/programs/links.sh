echo content >file
ln file second
ln second deep/third 2>&1 || echo refused: $?
mkdir deep
ln second deep/third
ln file second || echo refused: $?
ln -f deep/third second
ln -s file soft
ln -s "$PWD/file" absolute
ln -sr deep/third relative
ln -sfn deep turning
ln -sfn . turning
ln -sf file turning/soft
ln -P soft hard-of-soft
ln -L soft hard-of-file
ln deep elsewhere || echo refused: $?
ln -s loop loop
cat loop || echo refused: $?
readlink soft absolute relative turning
readlink -f relative turning/deep/third
realpath -s deep/../soft
realpath deep/../soft
stat -c '%n %h %F %a %s' file soft hard-of-soft
echo more >>relative
cat second
unlink file
cat soft || echo refused: $?
ln -sT deep/third file
cat soft
cp -P soft copied
cp --remove-destination deep/third turning/soft
chmod 600 soft
touch -h -d 2001-02-03 copied
chown -h 54321 copied
mktemp -u -d ./XXXXXX | wc -c
