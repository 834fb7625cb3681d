"""The drawers of an explorer: filters and playback, looks, annotations, export."""

from __future__ import annotations

import base64
from functools import partial
from typing import TYPE_CHECKING, Any

import ipywidgets as w  # type: ignore[import-untyped] # ships no types

from fmrw.explorer.hexview import escaped
from fmrw.explorer.playback import SPEEDS
from fmrw.explorer.state import OVERLAYS
from fmrw.figures.grid import LAYOUTS
from fmrw.figures.theme import PRESETS
from fmrw.offsets import range_text
from fmrw.text import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from fmrw.explorer.explorer import Explorer

_STEPS = 1_000  # of the slider for time
_TOLD = {
    "filter": "Who, and when",
    "look": "Layout, colours, overlays",
    "mark": "Name the window, and go to what is named",
    "export": "Write what is shown to a file",
}
_MOST_LISTED = 500  # threads or handles offered
_LINKED = 4 << 20  # bytes of a file offered as a link in the page
_TYPES = {
    "pdf": "application/pdf",
    "svg": "image/svg+xml",
    "png": "image/png",
    "html": "text/html",
    "csv": "text/csv",
}


def drawers(view: Explorer) -> w.VBox:
    """Make the drawers; one is open at a time, none at first, and its button shuts it again."""
    made = {"filter": filters(view), "look": looks(view), "mark": marks(view), "export": exports(view)}
    icons = {"filter": "filter", "look": "paint-brush", "mark": "bookmark", "export": "download"}
    buttons = {
        name: w.ToggleButton(
            description=name, icon=icons[name], tooltip=_TOLD[name], layout=w.Layout(width="90px")
        )
        for name in made
    }
    place = w.VBox([])

    def turned(change: Any) -> None:  # noqa: ANN401 - traitlets' Bunch
        if change["new"]:
            for each in buttons.values():
                each.value = each is change["owner"]
        place.children = [made[name] for name, each in buttons.items() if each.value]
        if buttons["filter"].value:
            view.prepare()

    for each in buttons.values():
        each.observe(turned, "value")
    return w.VBox([w.HBox([*buttons.values()]), place])


def bind(
    view: Explorer,
    widget: Any,  # noqa: ANN401 - any widget with a value
    trait: str,
    read: Callable[[Any], Any],
    write: Callable[[Any], Any],
) -> None:
    """Let a widget and a trait follow each other.

    Parameters
    ----------
    read, write
        From the widget's value to the trait's, and back.
    """

    def wrote(change: Any) -> None:  # noqa: ANN401 - traitlets' Bunch
        view.attempt(lambda: setattr(view, trait, read(change["new"])))

    def shown(change: Any) -> None:  # noqa: ANN401 - as above
        value = write(change["new"])
        if widget.value != value:
            widget.value = value

    widget.value = write(getattr(view, trait))
    widget.observe(wrote, "value")
    view.observe(shown, trait)


def button(view: Explorer, label: str, icon: str, tooltip: str, act: Callable[[], object]) -> w.Button:
    """Make a button whose errors are shown."""
    made = w.Button(description=label, icon=icon, tooltip=tooltip, layout=w.Layout(width="auto"))
    made.on_click(lambda _: view.attempt(act))
    return made


# Filters


def filters(view: Explorer) -> w.Widget:
    """Make the filters: who, what, when."""
    lists = _Lists(view)
    ops = w.ToggleButtons(options=["both", "read", "write"], style={"button_width": "60px"})
    bind(view, ops, "ops", str, str)
    everything = w.Button(description="show everything", icon="undo")
    everything.on_click(lambda _: view.attempt(lambda: clear(view)))
    row = w.HBox(list(lists.lists.values()), layout=w.Layout(flex_flow="row wrap"))
    hint = w.Label("none chosen: all are shown; Ctrl and click: several")
    return w.VBox([w.HBox([ops, everything, hint]), row, playback(view)])


def clear(view: Explorer) -> None:
    """Take all filters away."""
    view.processes = view.threads = view.handles = view.time_window = None
    view.ops = "both"


class _Lists:
    """Lists of the processes, threads and handles seen; none chosen means all."""

    def __init__(self, view: Explorer) -> None:
        self.view = view
        self._filling = False
        self.lists = {name: self._list(name) for name in ("processes", "threads", "handles")}
        self.fill()
        for trait, widget in self.lists.items():
            bind(view, widget, trait, partial(self._read, trait), partial(self._write, trait))
        view.observe(lambda _: view.attempt(self.fill), "seen")

    @staticmethod
    def _list(name: str) -> w.SelectMultiple:
        style = {"description_width": "65px"}
        return w.SelectMultiple(rows=5, layout=w.Layout(width="230px"), description=name, style=style)

    def fill(self) -> None:
        """Offer what was seen up to now; what is chosen stays chosen."""
        recorded = self.view.recorded
        pairs = [(f"{visible(name)} [{pid}]", (pid, name)) for pid, name in recorded.processes]
        self._offer("processes", pairs)
        for trait, column in (("threads", "tid"), ("handles", "handle")):
            found = recorded.rows[column].unique().sort().head(_MOST_LISTED).to_list()
            self._offer(trait, [(str(number), number) for number in found])

    def _offer(self, trait: str, options: list[tuple[str, Any]]) -> None:
        widget = self.lists[trait]
        if tuple(options) == tuple(widget.options):
            return
        self._filling = True  # new options clear the choice, which is nobody's wish
        try:
            widget.options = options
            widget.value = self._write(trait, getattr(self.view, trait))
        finally:
            self._filling = False

    def _read(self, trait: str, value: tuple[Any, ...]) -> Any:  # noqa: ANN401 - a trait's value
        return getattr(self.view, trait) if self._filling else tuple(value) or None

    def _write(self, trait: str, value: Sequence[Any] | None) -> tuple[Any, ...]:
        if trait == "processes":
            value = self.view.recorded.pairs(value)
        offered = {option for _, option in self.lists[trait].options}
        return tuple(each for each in value or () if each in offered)


def playback(view: Explorer) -> w.Widget:
    """Make a button that plays the recording by its own clock, and a slider for both ends of the time that is shown."""
    player = view.playback
    play = w.ToggleButton(
        icon="play", description="play", tooltip="Play, or pause", layout=w.Layout(width="80px")
    )
    again = button(view, "", "step-backward", "Back to the beginning", player.rewind)
    speed = w.Dropdown(
        options=[(f"{each:g}×", each) for each in SPEEDS],  # noqa: RUF001 - times
        value=player.speed, layout=w.Layout(width="75px"), tooltip="Speed",
    )  # fmt: skip
    slider = w.FloatRangeSlider(
        value=player.shares(), min=0, max=1, step=1 / _STEPS, description="time", readout=False,
        continuous_update=False, layout=w.Layout(width="340px"), style={"description_width": "35px"},
    )  # fmt: skip
    said = w.Label()
    moving = [False]

    def cut(change: Any) -> None:  # noqa: ANN401 - traitlets' Bunch
        if not moving[0]:
            view.attempt(lambda: player.cut(*change["new"]))

    def told(_change: Any = None) -> None:  # noqa: ANN401 - as above
        moving[0] = True  # a moment between two steps of the slider stays where it is
        try:
            slider.value = player.shares()
        finally:
            moving[0] = False
        said.value = times_text(view)

    def turned(change: Any) -> None:  # noqa: ANN401 - as above
        play.icon, play.description = ("pause", "pause") if change["new"] else ("play", "play")

    w.link((play, "value"), (player, "playing"))
    w.link((speed, "value"), (player, "speed"))
    player.observe(turned, "playing")
    slider.observe(cut, "value")
    view.observe(told, ["time_window", "seen"])
    told()
    return w.HBox([play, again, speed, slider, said], layout=w.Layout(flex_flow="row wrap"))


def times_text(view: Explorer) -> str:
    """Say which part of the recording's time is shown, and how fast it plays."""
    player = view.playback
    low, high = (share * player.seconds for share in player.shares())
    unit, name = (1e6, "µs") if player.seconds < 1e-3 else (1e3, "ms") if player.seconds < 1 else (1, "s")  # noqa: PLR2004 - a ms
    return f"{low * unit:,.1f} to {high * unit:,.1f} of {player.seconds * unit:,.1f} {name} · {player.told()}"


# Looks, marks


def looks(view: Explorer) -> w.Widget:
    """Make what changes the picture and not what it shows."""
    choices = []
    for trait, options in (
        ("layout", list(LAYOUTS)),
        ("side", [16, 32, 64, 128]),
        ("scale", ["log", "linear"]),
        ("theme", ["light", "dark"]),
    ):
        widget = w.Dropdown(
            options=options,
            description=trait,
            layout=w.Layout(width="180px"),
            style={"description_width": "50px"},
        )
        bind(view, widget, trait, lambda value: value, lambda value: value)
        choices.append(widget)
    overlays = w.SelectMultiple(
        options=OVERLAYS, rows=3, description="overlays", layout=w.Layout(width="200px")
    )
    bind(view, overlays, "overlays", tuple, tuple)
    return w.HBox([*choices, overlays], layout=w.Layout(flex_flow="row wrap"))


def marks(view: Explorer) -> w.Widget:
    """Make what names the window, and lists what is named."""
    name = w.Text(placeholder="a name for what is shown", layout=w.Layout(width="260px"))
    add = w.Button(description="mark the window", icon="bookmark")
    known = w.Select(rows=4, layout=w.Layout(width="420px"))
    show = w.Button(description="show", icon="search")
    remove = w.Button(description="remove", icon="trash")

    def listed(_change: Any = None) -> None:  # noqa: ANN401 - traitlets' Bunch
        known.options = [
            (f"{visible(each.name)}  {range_text(*each[:2])}", number)
            for number, each in enumerate(view.annotations)
        ]

    def marked(_: w.Button) -> None:
        view.attempt(lambda: view.annotate(name.value))
        name.value = ""

    def chosen(act: Callable[[int], None]) -> Callable[[w.Button], None]:
        return lambda _: None if known.value is None else view.attempt(lambda: act(known.value))

    def shown(number: int) -> None:
        view.window = view.annotations[number][:2]

    def removed(number: int) -> None:
        view.annotations = tuple(each for at, each in enumerate(view.annotations) if at != number)

    add.on_click(marked)
    show.on_click(chosen(shown))
    remove.on_click(chosen(removed))
    view.observe(listed, "annotations")
    listed()
    return w.VBox([w.HBox([name, add]), w.HBox([known, w.VBox([show, remove])])])


# Export


def exports(view: Explorer) -> w.Widget:
    """Make what writes the picture to a file beside the notebook, with a link to fetch it."""
    kind = w.Dropdown(options=list(_TYPES), value="pdf", layout=w.Layout(width="90px"))
    look = w.Dropdown(options=list(PRESETS), value="slide-16x9", layout=w.Layout(width="140px"))
    name = w.Text(placeholder="file name, made from the window if empty", layout=w.Layout(width="300px"))
    write = w.Button(description="export what I see", icon="download", layout=w.Layout(width="auto"))
    said = w.HTML()

    def written(_: w.Button) -> None:
        said.value = "writing…"
        view.attempt(lambda: setattr(said, "value", link(view.export(named(), preset=look.value))))
        if view.problem:
            said.value = ""

    def named() -> str:
        given = name.value.strip()
        return given if "." in given else f"{given}.{kind.value}" if given else view.export_name(kind.value)

    write.on_click(written)
    return w.VBox([w.HBox([kind, look, name, write]), said])


def link(path: Path) -> str:
    """Say where a file is, and offer it for download unless it is large."""
    content = path.read_bytes()
    shown = f"{escaped(str(path.resolve()))}, {len(content):,} bytes"
    if len(content) > _LINKED:
        return shown
    data = base64.b64encode(content).decode()
    kind = _TYPES.get(path.suffix[1:].lower(), "application/octet-stream")
    return f'{shown} · <a download="{escaped(path.name)}" href="data:{kind};base64,{data}">download</a>'
