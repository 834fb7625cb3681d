truncate -s 1M sparse
stat -c '%n %s %b' sparse
truncate -s -100 sparse
truncate -s %4096 sparse
truncate -s '<1000' sparse
echo content >text
truncate -r sparse text
truncate -c -s 5 absent
truncate -s 5 absent/file || echo refused: $?
truncate -s +3 text
cksum text
fallocate -l 100K given
stat -c '%n %s %b' given
fallocate -n -l 200K given
stat -c '%n %s' given
head -c 100000 </dev/zero | tr '\0' x >given
fallocate -p -o 8192 -l 16384 given
fallocate -z -o 50000 -l 100 given
cksum given
dd if=/dev/zero of=zeros bs=1000 count=33 conv=fsync status=none
seq 1000 >numbers
dd if=numbers of=zeros bs=7 oflag=append conv=notrunc,fdatasync status=none
dd if=numbers of=zeros bs=100 seek=3 skip=2 count=4 conv=notrunc status=none
dd if=numbers of=zeros bs=100 seek=5 count=1 oflag=dsync conv=notrunc status=none
dd if=zeros of=cut bs=100 seek=20 count=1 status=none
dd if=numbers of=numbers bs=10 seek=1 count=1 conv=notrunc status=none
dd if=numbers of=cut conv=excl status=none || echo refused: $?
dd if=absent of=never status=none || echo refused: $?
dd if=zeros of=swapped conv=swab,ucase bs=1K iflag=fullblock status=none
cat numbers | dd of=piped bs=64 iflag=fullblock conv=sync status=none
cksum zeros cut numbers swapped piped
sync zeros given && sync -d cut sparse
du -k given sparse zeros
tail -c 5 numbers; tail -n +998 numbers; head -c -3880 numbers
