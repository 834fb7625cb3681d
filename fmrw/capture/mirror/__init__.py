"""Mirror: the passthrough, a directory served exactly as it is, with nothing recorded.

`passthrough` has the operations, `namespace` those on names, `dirfds` the descriptors of directories that keep a changing tree from
leading outside, `credentials` the rights of the caller.
"""
