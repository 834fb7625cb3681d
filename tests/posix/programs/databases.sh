"$PYTHON" - <<'END'
import sqlite3

for mode in ("delete", "truncate", "memory"):
    database = sqlite3.connect(f"{mode}.db", isolation_level=None, timeout=0)
    print(database.execute(f"pragma journal_mode = {mode}").fetchone())
    database.execute("create table numbers (number integer primary key, text)")
    database.execute("create index texts on numbers (text)")
    for step in range(24):
        database.execute("begin immediate")
        rows = [(step * 50 + number, "x" * (number * step % 211)) for number in range(50)]
        database.executemany("insert into numbers values (?, ?)", rows)
        if step == 5:
            other = sqlite3.connect(f"{mode}.db", isolation_level=None, timeout=0)
            try:
                other.execute("begin immediate")
            except sqlite3.OperationalError as error:
                print(error)
        database.execute("rollback" if step % 7 == 3 else "commit")
    print(other.execute("select count(*), sum(length(text)) from numbers").fetchone())
    print(database.execute("delete from numbers where number % 3").rowcount)
    database.execute("vacuum")
    print(database.execute("pragma integrity_check").fetchone(), database.execute("select count(*) from numbers").fetchone())
    database.close()
    other.close()
END
