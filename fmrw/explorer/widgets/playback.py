"""Playback controls: play and pause, speed, and a slider for both ends of the time that is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets as w  # type: ignore[import-untyped] # ships no types

from fmrw.explorer.playback import SPEEDS
from fmrw.explorer.timeaxis import AXES
from fmrw.explorer.widgets.controls import bind, button

if TYPE_CHECKING:
    from fmrw.explorer.view import View

_STEPS = 1_000  # of the slider for time


def playback_controls(view: View) -> w.Widget:
    """Make a button that plays the recording along the time axis of the view, and a slider for both ends of what is shown."""
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

    axis = w.ToggleButtons(
        options=list(AXES),
        tooltips=["every access takes the same time", "by the clock, without idle time"],
        style={"button_width": "60px"},
    )
    bind(view, axis, "time_axis", str, str)
    w.link((play, "value"), (player, "playing"))
    w.link((speed, "value"), (player, "speed"))
    player.observe(turned, "playing")
    slider.observe(cut, "value")
    view.observe(told, ["time_window", "seen", "time_axis"])
    told()
    return w.HBox([play, again, speed, axis, slider, said], layout=w.Layout(flex_flow="row wrap"))


def times_text(view: View) -> str:
    """Say which part of the recording is shown, and how fast it plays."""
    player = view.playback
    low, high = player.shares()
    seconds = player.axis.seconds
    if seconds is None:
        count = view.recorded.rows.height
        return f"accesses {low * count:,.0f} to {high * count:,.0f} of {count:,} · {player.told()}"
    unit, name = (1e6, "µs") if seconds < 1e-3 else (1e3, "ms") if seconds < 1 else (1, "s")  # noqa: PLR2004 - a ms
    first, last, all_ = (each * seconds * unit for each in (low, high, 1))
    return f"{first:,.1f} to {last:,.1f} of {all_:,.1f} {name} · {player.told()}"
