"""The report of a survey: no network, hostile names as text, tables that sort, rows that open."""

from __future__ import annotations

import os
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

import fmrw
from fmrw.figures import render

if TYPE_CHECKING:
    from fmrw.experiments.survey.results import Survey

pytestmark = [pytest.mark.mount, pytest.mark.root("mounts in a namespace of its own")]

_WAIT_MS = 600_000
HOSTILE = "<img src=x onerror=alert(1)>\x1b[31m\N{RIGHT-TO-LEFT OVERRIDE}"
PARSERS = {
    "ends": 'sh -c \'echo "<b>$0</b>" >&2; dd if="$0" bs=10 count=1 status=none; case $0 in *img*) exit 3;; esac\' {}',
    "starts": "dd if={} bs=10 skip=3 count=2 status=none",
}


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Survey:
    corpus = tmp_path_factory.mktemp("page") / "corpus"
    corpus.mkdir()
    for name, size in ((HOSTILE, 100), ("small", 60), ("large", 9000), ("png", 300)):
        (corpus / name.replace("/", "\N{FRACTION SLASH}")).write_bytes(os.urandom(size))
    with ThreadPoolExecutor(1) as executor:
        return fmrw.survey(corpus, corpus.parent / "out", PARSERS, executor=executor)


def test_names_and_outputs_are_text(done: Survey) -> None:
    page = done.report().read_text()
    assert "<img" not in page
    assert "&lt;img src=x onerror=alert(1)&gt;" in page
    assert "&lt;b&gt;" in page
    assert not re.search("[\x00-\x09\x0b-\x1f\u202e]", page)


def test_nothing_is_loaded(done: Survey) -> None:
    page = done.report().read_text()
    assert "default-src 'none'" in page
    assert not re.search(r"(src|href)\s*=|url\(|@import|https?://", page.replace("&lt;img src=x", ""))


def test_the_exact_ranges_stand_in_a_row(done: Survey) -> None:
    page = done.report().read_text()
    row = next(part for part in page.split("<tr>") if "<summary>large</summary>" in part)
    assert {"0x0-0xa", "0x1e-0x32"} <= set(re.findall(r'<div class="small">([^<]+)</div>', row))


def test_the_chart_is_drawn(done: Survey) -> None:
    svg = render.svg(done.chart()).decode()
    assert "refused 3" in svg
    assert "large" in svg


@pytest.mark.browser
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_tables_sort_and_rows_open(done: Survey) -> None:
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - browsers are for few tests

    program = shutil.which("chromium")
    assert program
    with sync_playwright() as started:
        browser = started.chromium.launch(
            executable_path=program, args=["--no-sandbox", "--disable-dev-shm-usage"], timeout=_WAIT_MS
        )
        page = browser.new_page()
        page.set_default_timeout(_WAIT_MS)
        said: list[str] = []
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
        page.goto(done.report().as_uri())
        table = page.locator("h2:text-is('Disagreements') ~ .scroll >> nth=0").locator("table")
        sizes = table.locator("tbody tr > td:nth-child(2)")

        def values() -> list[float]:
            return [float(each.get_attribute("data-v") or "nan") for each in sizes.all()]

        before = values()
        head = table.locator("th button", has_text="size")
        head.click()
        assert values() == sorted(before, reverse=True)
        head.click()
        assert values() == sorted(before)
        first = table.locator("details").first
        assert not first.locator("svg").first.is_visible()
        first.locator("summary").click()
        assert first.locator("svg").first.is_visible()
        browser.close()
    assert said == []
