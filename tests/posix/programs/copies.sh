lay tree
setfattr -n user.key -v value tree/text
chown -h 54321:54400 tree/deep/script tree/dangling
chmod 6755 tree/deep/script
past tree/text
cp -a tree archive
cp -r tree plain
cp -rL tree/deep followed
cp -al tree linked
cp -as "$PWD/tree" pointing
cp --sparse=always --preserve=timestamps tree/deep/er/zeros sparse
cp -u tree/text archive/text
cp --backup=numbered tree/numbers archive/text
cp --attributes-only tree/text attributes
cp -n tree/numbers archive/dangling || echo refused: $?
cp tree/text tree/text || echo refused: $?
cp -r tree tree/deep/into || echo refused: $?
rm -rf tree/deep/into # what was copied before depends on the order of a listing, which no file system promises
diff -r --no-dereference tree/empty archive/empty && echo equal
mv archive moved
mv -T moved plain || echo refused: $?
mv moved plain/
mv -n tree/text plain/text
mv -b tree/numbers plain/numbers
mv -f attributes tree/deep/nothing
mv tree tree/deep/er || echo refused: $?
mv -v linked/* followed/
rmdir linked
rm -r pointing
rm -rf plain/tree
