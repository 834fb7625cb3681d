lay tree
touch -d '2002-01-01 00:00:00.000000001' tree/text reference
touch -d '2002-01-01 00:00:00.000000002' tree/numbers
mkdir tree/{a,b,c}/{d,e}/ -p
find tree -newer reference | sort
find tree -newermt 2001-12-31 -type f | sort
find tree -not -newer reference -type l | sort
find tree -type d -links 2 | sort
find tree -type d -links +2 -printf '%p %n\n' | sort
find tree -noleaf -type d | wc -l
find tree -type d | wc -l
find tree -samefile tree/numbers | sort
find tree -perm -2000 -o -perm /111 -type f | sort
find tree -empty | sort
find -L tree -xtype l | sort
find tree -type f -printf '%p %s %m %n %y %T@\n' | sort
find tree -size +60k -execdir wc -c {} +
find tree -name 's*' -exec grep -c it {} ';'
grep -rl -e two -e 1999 tree | sort
[ tree/numbers -nt tree/text ] && [ tree/text -ot tree/numbers ] && ! [ tree/text -nt reference ] && echo in order
[ tree/numbers -ef tree/deep/hard ] && echo the same file
du -a --apparent-size -b --exclude='*' tree/numbers
ls -1RF tree
find tree -mindepth 1 -name 'e*' -prune -o -type f -print | sort
find tree -type d -name e -delete
find tree -depth -type l -delete -print | sort
