"""Figures (altair): charts of frames, and the files they are written to.

What lives here and nowhere else: the charts a user can export, their colours and sizes (`theme`), what stands on a figure's face
(`page`: title, provenance, exactness), and their rendering. `render` is the only module that imports vl-convert.

    frame, About ──heatmap, strip, plots, tracks, entropy, playback──▶ altair chart ──export, render──▶ file

A chart function takes a frame and an `About`, mutates neither, and returns an altair chart of the size of its `Look`. The heatmap, which stands beside every
file of a mount, is made of plain layers of Vega-Lite (`marks`, `page.Sheet`), so that drawing it imports no altair; its chart is made of the same layers.

Threads. Making charts keeps no state and may run in any thread. vl-convert holds the GIL while it renders and hangs in a forked child,
so a process that serves reads renders in a spawned one.

Limits. The number of marks is bounded, whatever the number of accesses; a figure that joins, samples or thins says so in its caption.
"""
