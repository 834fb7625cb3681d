"""Reports: virtual files that appear in a mount, made when they are opened.

`files` serves them, `names` says which names they have and what stands in their way, `permissions` who may read one, `helper` is the
process that makes them. What is in a report is not known here: the worker is given suffix → function.
"""
