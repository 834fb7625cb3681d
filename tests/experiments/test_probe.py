"""What a probe says of real and of awkward programs: what is unstable, what cannot be probed, what is kept."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

import pytest
from inotify import IN_CREATE, IN_MODIFY, IN_MOVED_TO, Inotify

import fmrw
from fmrw.cli.main import main
from fmrw.commands.effects import counts_text, steering, versus_tables
from fmrw.errors import BadInput, SessionExists
from fmrw.experiments.bench import Budget, budget_of
from fmrw.experiments.classes import Range
from fmrw.experiments.probe import Probe, probe
from fmrw.experiments.steering import Field
from fmrw.experiments.versus import probe_both
from fmrw.explorer.probed import Probed

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.mount, pytest.mark.root("mounts in a namespace of its own")]

CLASSES = {
    "unread",
    "ignored",
    "redundant",
    "conditional",
    "content",
    "checked",
    "decides",
    "steers",
    "crash",
    "hang",
}


def shell(code: str) -> list[str]:
    return ["sh", "-c", code, "sh", "{}"]


SHOWS = 'head -c 8 "$1" | tail -c 3'


def kinds(found: Probe) -> dict[str | None, int]:
    return {kind: found.bytes_of(kind) for kind in {each.kind for each in found.map}}


# What is unstable is named and left out


@pytest.mark.parametrize(
    ("noise", "channel"),
    [
        ("date +%N", "stdout"),
        ("date +%N >&2", "stderr"),
        ("exit $(( $(date +%N | sed s/^0*//) % 100 ))", "ending"),
        ("date +%N > written", "written"),
        ('head -c $(( $(date +%N | sed s/^0*//) % 9 + 10 )) "$1" > /dev/null', "accesses"),
        ("mktemp", "stdout"),
    ],
)
def test_a_channel_that_is_not_the_same_twice_is_left_out(
    file: Path, monkeypatch: pytest.MonkeyPatch, noise: str, channel: str
) -> None:
    monkeypatch.chdir(file.parent)
    other = ">&2" if channel == "stdout" else ""
    found = probe(file, shell(f"{SHOWS} {other}; {noise}"), any_status=True, budget=Budget(runs=170))
    assert channel in found.unstable
    assert any(channel in note for note in found.notes)
    assert found.at(6).kind in {"content", "checked"}
    assert found.at(0).effect.startswith("nothing changes")


def test_threads_that_race_are_compared_without_their_order(file: Path) -> None:
    code = """
import os, sys, threading
fd = os.open(sys.argv[1], 0)
at = [threading.Thread(target=lambda n=n: os.pread(fd, 1, n)) for n in range(0, 20)]
[t.start() for t in at]; [t.join() for t in at]
print(os.pread(fd, 1, 3))
"""
    found = probe(file, [sys.executable, "-c", code, "{}"], budget=Budget(runs=170))
    assert "accesses" not in found.unstable
    assert found.at(3).kind == "content"
    assert found.at(4).effect.startswith("nothing changes")


def test_a_race_that_the_baseline_does_not_show_is_found(file: Path) -> None:
    code = """
import os, sys
fd = os.open(sys.argv[1], 0)
at = list(range(20))
for n in at[::-1] if os.urandom(1)[0] < 32 else at: os.pread(fd, 1, n)
print(os.pread(fd, 1, 3))
"""
    found = probe(file, [sys.executable, "-c", code, "{}"], budget=Budget(runs=170))
    assert found.unstable == ["order"]
    assert found.at(3).kind == "content"
    assert found.at(10).effect.startswith("nothing changes")


# What cannot be probed is said


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (shell("exit 3"), "status 3 on the unaltered file"),
        (shell("echo it is broken >&2; exit 1"), "it is broken"),
        (shell("kill -SEGV $$"), "signal 11"),
        (["no-such-program", "{}"], "not started"),
        (["true"], "write {} in its place"),
        ([], "write {} in its place"),
    ],
)
def test_commands_that_cannot_be_probed(file: Path, command: list[str], message: str) -> None:
    with pytest.raises(BadInput, match=message.replace("{", r"\{").replace("}", r"\}")):
        probe(file, command)


def test_files_that_cannot_be_probed(file: Path) -> None:
    empty = file.parent / "empty"
    empty.touch()
    for bad, message in ((empty, "is empty"), (file.parent, "no file"), (file.parent / "gone", "no file")):
        with pytest.raises(BadInput, match=message):
            probe(bad, shell(SHOWS))


def test_a_command_that_fails_is_probed_where_that_is_wanted(file: Path) -> None:
    found = probe(file, shell(f"{SHOWS}; exit 3"), any_status=True, budget=Budget(runs=170))
    assert found.at(6).kind == "content"
    assert any("status 3" in note for note in found.notes)


def test_a_command_that_reads_nothing(file: Path) -> None:
    found = probe(file, shell("true"))
    assert kinds(found) == {"unread": file.stat().st_size}
    assert any("reads nothing" in note for note in found.notes)


def test_a_command_that_writes_beside_the_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(file.parent)
    found = probe(file, shell(f'{SHOWS} > "$1.out"; rm "$1"'), budget=Budget(runs=170))
    assert found.at(6).kind == "content"
    assert "files written" in found.at(6).effect
    assert any("overlay" in note for note in found.notes)
    assert list(file.parent.iterdir()) == [file]


def test_a_command_that_stays_and_one_that_wants_input(file: Path) -> None:
    found = probe(file, shell(f"{SHOWS}; cat; (setsid sleep 1000 &)"), budget=Budget(runs=170))
    assert found.at(6).kind == "content"
    assert any("left" in note for note in found.notes)


def test_a_file_that_changes_meanwhile(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fmrw.experiments.probe._TELL_S", -1)  # after each run, however fast they are

    def change(_found: Probe, _stage: str) -> None:
        file.write_bytes(b"another content, by somebody else")

    with pytest.raises(BadInput, match="changed meanwhile"):
        probe(file, ["xxd", "{}"], progress=change)


def test_names_that_are_no_text_are_told_as_bytes(tmp_path: Path) -> None:
    odd = tmp_path / "\udcff"
    odd.write_bytes(b"content")
    told = probe(odd, ["sh", "-c", "cat {}; : \udcfe"], budget=20).json()
    assert (told["path"], told["command"][2]) == (rf"{tmp_path}/\xff", r"cat {}; : \xfe")


# What is kept


def test_a_recording_holds_the_map(file: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    found = probe(file, shell(SHOWS), output=output)
    trace = fmrw.load(output)
    assert trace.effects.select("start", "end", "class").rows() == [
        (each.start, each.end, each.kind) for each in found.map
    ]
    assert trace.effects["path"].unique().to_list() == ["a.bin"]
    assert trace.programs == ("sh",)
    assert trace.files["path"].to_list() == ["a.bin"]
    assert trace.chart("a.bin", "effects").to_dict()
    assert list(trace.effects_of("a.bin", "content")) == [(5, 8)]
    assert trace.coverage("a.bin").rows()[0][0] == 0
    assert json.loads((output / "probe.json").read_text()) == json.loads(json.dumps(found.json()))
    with pytest.raises(SessionExists, match="--resume"):
        probe(file, shell(SHOWS), output=output)
    with pytest.raises(SessionExists, match="another file or command"):
        probe(file, shell("xxd {}"), output=output, resume=True)
    again = probe(file, shell(SHOWS), output=output, resume=True)
    assert again.map == found.map
    assert again.runs < 40


def test_names_that_are_no_text(tmp_path: Path) -> None:
    odd = os.fsdecode(b"odd\xff")
    (tmp_path / odd).mkdir()
    path = tmp_path / odd / f"{odd}.bin"
    path.write_bytes(b"abc")
    found = probe(path, ["head", "-c", "1", "{}"], output=tmp_path / "out", budget="60", slots=1)
    assert found.ranges["path"].unique().to_list() == [str(tmp_path) + r"/odd\xff/odd\xff.bin"]
    kept = fmrw.load(tmp_path / "out")
    assert kept.effects["path"].unique().to_list() == [r"odd\xff.bin"]
    assert kept.processes["cmdline"].to_list() == [rf"head -c 1 {tmp_path}/odd\xff/odd\xff.bin"]


@pytest.mark.parametrize("given", [0, "abc", "", "5 d", -1])
def test_what_is_no_budget(given: int | str) -> None:
    with pytest.raises(BadInput, match=r"write 2000, 30s, 5m or 1h\.$"):
        budget_of(given)


def test_budgets_as_the_command_takes_them() -> None:
    assert budget_of(20) == budget_of("20") == Budget(runs=20)
    assert budget_of("5m") == Budget(seconds=300)
    assert budget_of(Budget(3, 4.0)) == Budget(3, 4.0)


def test_parts_of_a_format_by_class(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(zipfile.ZipInfo("name.txt"), "content")
    probe(path, ["unzip", "-l", "{}"], output=tmp_path / "out", budget=Budget(runs=300))
    parts = fmrw.load(tmp_path / "out").effects_by_part("a.zip")
    assert parts.height > 3
    sizes = parts.select("end", "start")
    assert (sizes["end"] - sizes["start"] == parts.drop("part", "start", "end").sum_horizontal()).all()


def test_two_commands_side_by_side(file: Path, tmp_path: Path) -> None:
    found = probe_both(file, shell(SHOWS), ["xxd", "-l", "2", "{}"], output=tmp_path / "out")
    assert (
        found.ranges.rows()
        == [
            (0, 2, "ignored", "content"),
            (2, 5, "ignored", "unread"),
            (5, 8, "content", "unread"),
            (8, 31, "ignored", "unread"),
        ]
        or found.differential.height
    )
    both = fmrw.load(tmp_path / "out" / "a").effects_of("a.bin", "ignored") & fmrw.load(
        tmp_path / "out" / "b"
    ).effects_of("a.bin", "content")
    assert list(both) == [(0, 2)]


def test_two_commands_that_were_stopped_are_compared_by_what_is_settled(file: Path) -> None:
    found = probe_both(file, shell(SHOWS), ["xxd", "-l", "2", "{}"], budget=Budget(runs=60), slots=1)
    assert [each.complete for each in (found.a, found.b)] == [False, True]
    assert found.ranges.rows() == [
        (0, 2, None, "content"), (2, 5, None, "unread"), (5, 8, "content", "unread"), (8, 31, "unread", "unread"),
    ]  # fmt: skip
    assert found.differential.rows() == [(5, 8, "content", "unread")]
    said = [str(each) for each in versus_tables(found)]
    assert "classes differ for 3 of 26 settled bytes; 5 are not settled" in said


def test_a_number_that_steers_is_told_with_what_it_rests_on() -> None:
    field = Field(4, 6, "offset", 1, "little", 1)
    steers = [Range(at, at + 1, "steers", [0], field.sentence, field, settled=at == 4) for at in (4, 5)]
    for found, end in ((steers, "; so far"), (steers[:1], "")):
        made = Probe("a", 6, ["a", "{}"], 9, 1.0, {}, [], complete=False, map=found)
        assert steering(made) == [f"0x4\N{EN DASH}0x5 {field.sentence}{end}"]
        assert ("more runs may change the class of 1" in counts_text(made)) == bool(end)


def test_what_was_not_tried_has_no_class_and_one_name(tmp_path: Path) -> None:
    path = tmp_path / "watched" / "many"
    path.parent.mkdir()
    path.write_bytes(bytes(range(100)))
    found = probe(path, ["xxd", "{}"], exact=True, output=tmp_path / "out", budget=Budget(runs=5))
    assert not found.complete
    told = json.loads((tmp_path / "out" / "probe.json").read_text())["ranges"]
    unknown = [each for each in told if each["class"] is None]
    assert unknown == [
        {"start": 0, "end": 100, "class": None, "values": [], "effect": "not tried", "field": None}
    ]
    kept = fmrw.load(tmp_path / "out")
    assert kept.effects["class"].to_list() == [None]
    assert kept.effects_by_part("many").columns[-1:] in (["not settled"], ["end"])
    assert "not settled" in json.dumps(kept.chart("many", "effects").to_dict())
    assert Probed.of(kept, "many").present == [("faint", "not settled")]
    assert "not settled 100" in counts_text(found)


# The command


def test_the_command_prints_json(file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["probe", str(file), "--json", "--budget", "500", "--", *shell(SHOWS)]) == 0
    told = json.loads(capfd.readouterr().out)
    assert set(told) == {
        "path",
        "size",
        "command",
        "runs",
        "seconds",
        "baseline",
        "unstable",
        "complete",
        "ranges",
    }
    assert told["complete"]
    assert all(set(each) == {"start", "end", "class", "values", "effect", "field"} for each in told["ranges"])
    assert {each["class"] for each in told["ranges"]} <= CLASSES
    borders = [0, *(each["end"] for each in told["ranges"])]
    assert [each["start"] for each in told["ranges"]] == borders[:-1]
    assert borders[-1] == told["size"] == file.stat().st_size


def test_the_command_shows_a_table(file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["probe", str(file), "--", *shell(SHOWS)]) == 0
    assert "0x5-0x8" in capfd.readouterr().out
    assert main(["probe", str(file), "--", *shell(SHOWS), "---", "xxd", "{}"]) == 0
    assert "differs" in capfd.readouterr().out
    assert main(["probe", str(file), "--budget", "soon", "--", *shell(SHOWS)]) == 2
    assert "5m" in capfd.readouterr().err


def test_an_interrupt_gives_what_is_known(file: Path, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "fmrw",
        "probe",
        str(file),
        "--json",
        "-o",
        str(tmp_path / "out"),
        "--",
        *shell('sleep 0.05; cat "$1"'),
    ]
    folder = tmp_path / "out"
    folder.mkdir()
    with Inotify() as changes:
        changes.add(folder, IN_CREATE | IN_MODIFY | IN_MOVED_TO)
        driver = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        while not ((folder / "runs.jsonl").exists() and (folder / "runs.jsonl").stat().st_size):
            changes.wait(driver)
    driver.send_signal(signal.SIGINT)
    out, err = driver.communicate()
    assert not json.loads(out)["complete"], err
    assert "--resume" in err
