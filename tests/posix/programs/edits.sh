seq 5000 >lines
past lines
ln lines hard
ln -s lines link
sed -i 's/7/seven/g' lines
sed -i.bak '1~2d' lines
sed -i --follow-symlinks '1d' link
sort -r -o lines lines
sort -n -u -o hard hard lines
split -l 1000 -d hard part-
cat part-* | cmp - hard && echo put together
shuf --random-source=hard -o shuffled hard && cksum shuffled
tac hard | head -3 | tee first
tac hard | tail -2 | tee -a first
echo appended >>lines
echo overwritten 1<>first
cat first
comm -12 <(sort lines) <(sort hard) | wc -l
csplit -s hard 100 200 && wc -c xx*
cat lines >>lines 2>&1 || echo refused: $?
gzip -nk lines && gzip -t lines.gz && zcat lines.gz | cmp - lines && gzip -f lines && gunzip lines.gz
xxd -l 64 hard | xxd -r - patched && cmp -n 64 patched hard && printf '00000010: ffff' | xxd -r - patched && xxd patched
set -o noclobber
echo refused >link || echo refused: $?
echo refused >hard || echo refused: $?
