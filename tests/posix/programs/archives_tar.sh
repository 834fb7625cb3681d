lay tree
mkfifo tree/pipe
truncate -s 1M tree/sparse
printf end >>tree/sparse
setfattr -n user.key -v value tree/text
setfattr -n trusted.key -v value tree/deep
setfacl -m u:54321:r tree/numbers
chown -h 54321:54400 tree/deep/script tree/dangling
chmod 4755 tree/deep/script
past tree/pipe tree/sparse tree
pack=(tar --xattrs '--xattrs-include=*' --acls --numeric-owner --format=posix --sort=name
    '--pax-option=exthdr.name=%d/pax/%f,delete=atime,delete=ctime' --sparse --sparse-version=0.0 --hole-detection=raw)
"${pack[@]}" -cf all.tar tree
tar --numeric-owner -tvf all.tar
mkdir out
"${pack[@]}" -C out -xpf all.tar
tar -df all.tar && echo equal
echo more >>tree/text
touch -d '2001-02-04' tree/text
tar -df all.tar || echo differs: $?
: >late
past late
"${pack[@]}" -rf all.tar late
tar -tf all.tar
tar -czf all.tgz tree/text 2>&1 && gzip -t all.tgz && tar -xzOf all.tgz
"${pack[@]}" -uf all.tar tree/text
tar -C out -xpf all.tar --overwrite tree/text && cat out/tree/text
tar -C out -xkf all.tar tree/text || echo kept: $?
bsdtar -xpf all.tar -C tree/empty && diff -r tree/empty/tree/deep tree/deep && echo the same
rm all.tgz
