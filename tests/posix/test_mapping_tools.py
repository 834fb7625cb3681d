"""Programs in other languages that map files: the same words and the same files on a mount in `exact` as on the plain directory."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from sides import Side

pytestmark = [pytest.mark.mount, pytest.mark.soak]

JAVA = """
import java.nio.channels.FileChannel;
import java.nio.file.*;
import static java.nio.file.StandardOpenOption.*;

class Maps {
    public static void main(String[] words) throws Exception {
        try (var file = FileChannel.open(Path.of("lines"), READ, WRITE)) {
            var view = file.map(FileChannel.MapMode.READ_WRITE, 5000, 20000);
            int sum = 0;
            while (view.hasRemaining()) sum = sum * 31 + view.get();
            view.put(100, (byte) '!');
            view.force();
            var own = file.map(FileChannel.MapMode.PRIVATE, 0, 6000);
            own.put(0, (byte) '?');
            var grown = file.map(FileChannel.MapMode.READ_WRITE, file.size(), 300);
            grown.put(299, (byte) 'z');
            System.out.println(sum + " " + own.get(0) + " " + own.get(5100) + " " + file.size());
        }
    }
}
"""
PHP = """<?php
file_put_contents("copy", file_get_contents("lines"));
include "included.php";
echo md5_file("copy"), " ", copy("lines", "again"), " ", strlen(stream_get_contents(fopen("again", "r"))), "\\n";
readfile("again", false);
"""
COMMANDS = {
    "rg": ["rg", "--mmap", "--count-matches", "--sort=path", "9[0-9]+7", "."],
    "java": ["java", "-Xshare:off", "Maps.java"],
    "php": ["php", "-d", "opcache.enable_cli=1", "main.php"],
}


def perform(command: list[str], folder: Path) -> tuple[int, bytes, bytes]:
    folder.mkdir()
    (folder / "lines").write_text("".join(f"{number}\n" for number in range(20_000)))
    (folder / "Maps.java").write_text(JAVA)
    (folder / "main.php").write_text(PHP)
    (folder / "included.php").write_text("<?php echo __LINE__, 'included', PHP_EOL;\n")
    done = subprocess.run(command, cwd=folder, capture_output=True, check=False, timeout=300)
    content = (folder / "lines").read_bytes()
    shutil.rmtree(folder)
    return done.returncode, done.stdout, content


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_what_maps_files_does_what_it_does_on_the_directory(
    command: list[str], plain: Side, exact: Side
) -> None:
    expected = perform(command, plain.root / command[0])
    assert expected[0] == 0
    assert perform(command, exact.root / command[0]) == expected
