"""An attacker: swaps pairs of names in a directory it holds a descriptor of, as fast as it can, until its input ends.

swapper.py USER DESCRIPTOR NAME NAME [NAME NAME …]

It says a line when it begins, one when it has swapped so often that there was a race, and its number of swaps at the end.
"""

from __future__ import annotations

import ctypes
import os
import select
import sys

RENAME_EXCHANGE = 2
ENOUGH = 1000


def become(user: int) -> None:
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)


def main(user: int, directory: int, names: list[bytes]) -> None:
    if user != os.getuid():
        become(user)
    rename = ctypes.CDLL(None).renameat2
    pairs = list(zip(names[::2], names[1::2], strict=True))
    swaps, told = 0, False
    print("begun", flush=True)
    while not select.select([0], [], [], 0)[0]:
        for _ in range(50):
            for one, other in pairs:
                swaps += rename(directory, one, directory, other, RENAME_EXCHANGE) == 0
        if swaps > ENOUGH and not told:
            print("enough", flush=True)
            told = True
    print(swaps)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), [os.fsencode(name) for name in sys.argv[3:]])
