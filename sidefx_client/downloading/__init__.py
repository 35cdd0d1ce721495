"""A file on its way from a URL to its place on the disk.

``transfer`` asks the ``remote`` end for what is missing, with ``patience``, and writes it to the ``partial`` while
``hashing`` reads along. ``ranges`` does the same over several connections at a time.
"""
