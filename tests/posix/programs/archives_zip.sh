lay tree
listed() { find tree | sort; } # no file system promises the order of a listing
listed | zip -qyX all.zip -@
unzip -tq all.zip
unzip -q -d out all.zip
diff -r --no-dereference tree out/tree && echo equal
zip -qd all.zip tree/numbers
echo more >>tree/text
past tree/text
zip -qX all.zip tree/text
unzip -Z1 all.zip
unzip -qo -d out all.zip tree/text && cat out/tree/text
unzip -p all.zip tree/deep/script
listed | zip -qX -s 64k split.zip -@ && rm split.*
head -c 300 all.zip >broken.zip
unzip -tq broken.zip >/dev/null 2>&1 || echo broken: $?
