"""Options that do not go together are wrong usage, in one line; none is silently left aside."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fmrw.cli.main import main

if TYPE_CHECKING:
    from pathlib import Path

ALONE = "says nothing without"


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("sites s --folded --speedscope", "--folded and --speedscope exclude each other; give one of them."),
        ("sites s f --folded --structure --json", "--folded and --structure exclude each other; give one of them."),
        ("sites s f --speedscope --structure=x", "--speedscope and --structure exclude each other; give one of them."),
        ("sites s f --function x --structure", "--function and --structure exclude each other; give one of them."),
        ("sites s f --by calls", f"--by {ALONE} --folded or --speedscope; add it, or leave --by out."),
        ("unmount s --abort --force", "--force and --abort exclude each other; give one of them."),
        ("diff a b --preset dark", f"--preset {ALONE} --chart; add it, or leave --preset out."),
        ("sessions --most 3", f"--most {ALONE} --prune; add it, or leave --most out."),
        ("sessions --most-bytes 1KiB", f"--most-bytes {ALONE} --prune; add it, or leave --most-bytes out."),
        ("survey c -o s -p a=b --probe-runs 99", f"--probe-runs {ALONE} --probe; add it, or leave --probe-runs out."),
        ("survey c -o s -p a=b --html p", "--html is for `fmrw survey report`; leave it out."),
        ("survey report s --files x --most 3", "`survey report` runs nothing, and takes --html and --most alone; leave --files out."),
        ("survey report s --probe-runs 99", "`survey report` runs nothing, and takes --html and --most alone; leave --probe-runs out."),
    ],
)  # fmt: skip
def test_they_are_refused_in_one_line(
    typed: str, said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(typed.split()) == 2
    assert capsys.readouterr() == ("", f"fmrw: {said}\n")
    assert not list(tmp_path.iterdir())


def test_reduce_offers_nothing_that_it_leaves_aside(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reduce", "a", "-o", "b", "--exact", "--", "cat", "{}"]) == 2
    assert "No such option" in capsys.readouterr().err
