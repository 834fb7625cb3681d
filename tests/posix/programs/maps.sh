"$PYTHON" - <<'END'
import mmap

import lmdb
import numpy as np

with open("view", "wb") as file:
    file.truncate(50_000)
with open("view", "r+b") as file, mmap.mmap(file.fileno(), 0) as view:
    view[10_000:10_007] = b"written"
    file.seek(10_000)
    print(file.read(7))
    file.write(b" and more")
    file.flush()
    print(view[10_000:10_016], view.find(b"more"))
    view.resize(60_000)
    view[-1] = 7

numbers = np.memmap("numbers", np.float64, "w+", shape=(300, 100))
numbers[:] = np.arange(30_000).reshape(300, 100)
numbers[17] *= -1
numbers.flush()
print(np.memmap("numbers", np.float64, "r", shape=(300, 100)).sum(), np.fromfile("numbers")[1700:1703])
np.save("array.npy", np.arange(20_000))
again = np.load("array.npy", mmap_mode="r+")
again[::3] = 1
del again
print(np.load("array.npy").sum())

with lmdb.open("store", 1 << 20, writemap=True, subdir=False) as store:
    for step in range(5):
        with store.begin(write=True) as change:
            for number in range(step, 200, step + 1):
                change.put(b"%05d" % number, b"x" * (number * step % 97))
    with store.begin() as look:
        print(look.stat()["entries"], sum(len(value) for _key, value in look.cursor()))
with lmdb.open("other", 1 << 20) as store, store.begin(write=True) as change:
    change.put(b"key", b"value")
with lmdb.open("other", readonly=True) as store, store.begin() as look:
    print(look.get(b"key"))
END
rm -r store store-lock other # they hold process ids and addresses

"$PYTHON" - <<'END'
import sqlite3
import subprocess
import sys

OTHER = """
import sqlite3
database = sqlite3.connect("wal.db", isolation_level=None, timeout=60)
for number in range(40):
    database.execute("insert into numbers values (?)", (1000 + number,))
    assert database.execute("select count(*) from numbers").fetchone()[0] > number
"""
database = sqlite3.connect("wal.db", isolation_level=None, timeout=60)
print(database.execute("pragma journal_mode = wal").fetchone())
database.execute("create table numbers (number integer primary key)")
other = subprocess.Popen([sys.executable, "-c", OTHER])
for number in range(40):
    database.execute("insert into numbers values (?)", (number,))
print(other.wait())
print(database.execute("select count(*), sum(number) from numbers").fetchone())
print(database.execute("pragma wal_checkpoint(truncate)").fetchone())
reader = sqlite3.connect("wal.db", isolation_level=None)
reader.execute("pragma mmap_size = 1000000")
print(reader.execute("select max(number) from numbers").fetchone())
print(database.execute("pragma integrity_check").fetchone())
reader.close()
database.close()
END
rm wal.db # its change counter tells who was faster
ls
