export HOME=$PWD/home GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=A GIT_AUTHOR_EMAIL=a@example.org GIT_COMMITTER_NAME=C GIT_COMMITTER_EMAIL=c@example.org
mkdir home
git config --global pack.threads 1
git config --global init.templateDir ""
git config --global init.defaultBranch main
git config --global advice.detachedHead false
now() { export GIT_AUTHOR_DATE="2001-01-01T00:00:$1+0000" GIT_COMMITTER_DATE="2001-01-01T01:00:$1+0000"; }
now 10
git init -q repository
cd repository
for number in $(seq 16); do
    mkdir -p "folder$((number % 4))"
    seq "$number" $((number * 40)) >"folder$((number % 4))/file$number"
done
ln -s folder1 link
printf '#!/bin/sh\n' >program
chmod +x program
git add .
git commit -qm one
now 11
git status --short --branch
git mv folder1/file5 folder2/moved
echo more >>folder2/file6
git rm -q folder3/file11
git status --short
git commit -qam two
now 12
git checkout -q -b side HEAD~1
echo side >aside
git add aside
git commit -qm side
now 13
git checkout -q main
git merge -q --no-edit side
chmod -x program
git diff --summary
git checkout program
echo unsaved >>folder0/file4
now 14
git stash -q
git stash show --stat
git stash pop -q
git checkout -q .
git log --graph --format='%H %s' --stat
git gc -q --prune=now
git count-objects -v
git fsck --full --strict
cd ..
git clone -q repository linked
git clone -q --no-local repository whole
git -C linked status --short --branch
git -C whole log --format='%H %s'
git -C whole tag v1
git -C whole push -q origin v1
git -C repository tag
git -C repository archive --format=tar HEAD | tar -t | wc -l
git -C whole worktree add -q ../tree HEAD~1
git -C whole worktree list | sed "s,$PWD/,,"
git -C linked clean -xdfq
diff -r --exclude=.git whole linked && echo equal
