"""Widgets (ipywidgets, anywidget): what a notebook shows of a view.

Each module is one part of the screen and the word for it: `toolbar`, `filters`, `playback`, `appearance`, `annotations`, `export`.
`tabs` and `panel` put them together; `controls` is what they are made of.

Limits. They need the extra `notebook`, which may be missing, so nobody imports them before something is shown.
"""
