mkdir old new
seq 300 >old/numbers
printf 'no newline' >old/short
echo gone >old/removed
cp old/* new/
sed -i -e 100d -e 's/^200$/two hundred/' new/numbers
echo ' at the end' >>new/short
rm new/removed
echo here >new/added
past old/* new/*
diff -ruN old new >changes || echo differ: $?
cat changes
cp -a old work
patch -d work -p1 -b -z .orig <changes
diff -r work new || echo differ: $?
rm work/*.orig
patch -d work -p1 -R -s <changes
diff -r work old && echo back again
sed -i 's/^99$/ninety-nine/;s/^101$/another/' work/numbers
patch -d work -p1 --no-backup-if-mismatch <changes || echo failed: $?
cat work/numbers.rej
diff3 -m old/numbers new/numbers old/numbers | cksum
