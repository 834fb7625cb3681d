"""The explorer: one file of a recording in a notebook, and a table of all files to choose it from.

What lives here and nowhere else: ipywidgets and anywidget, gestures, the state of a view, the pictures of a live view.
`explorer` and `browse` are the two ways in. `view` is one file without widgets: `state` (what is shown), `recorded_file` (the events),
`scene`, `tracks` and `layout` (the picture), `canvas` (the one chart that is refilled), `gestures` and `shortcuts`, `playback`.
`widgets` shows a view. A module imports only what stands below it; `view` knows no widgets, and the parts of a view know no view.

Threads. The kernel's own thread sets traits and takes gestures. Up to four others work for a view: one polls a live recording, one plays,
one parses the file's format, one builds the indexes for filters. A lock lets one draw at a time. All are daemons; those that stay
hold the view weakly.

Limits. A step sends at most 10,000 marks and 300 KB to the browser, whatever the size of the file or the number of accesses. Offsets
are exact up to 2⁶³. Lanes and the plane of time take a sample of 50,000 accesses, and say so.
"""
