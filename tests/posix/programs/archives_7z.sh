lay tree
rm tree/dangling
past tree
seven() { 7z "$@" -bd -bb0 | grep -v -e Version -e CPU -e '^$' -e Threads -e '64-bit'; }
seven a -mmt=1 all.7z tree
seven t all.7z
seven x -oout all.7z
diff -r tree/numbers out/tree/numbers && echo equal
echo more >>tree/text
past tree/text
seven u -mmt=1 all.7z tree/text
seven d -mmt=1 all.7z tree/numbers
seven e -so all.7z tree/text
seven a -tzip -mmt=1 all.zip tree/numbers
seven a -mmt=1 -v20k parts.7z tree/numbers
seven t parts.7z.001
