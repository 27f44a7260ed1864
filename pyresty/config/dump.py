"""What ``-T`` prints: every configuration file that was read, once, in the order of reading."""

from __future__ import annotations

import os


def dump(files: dict[str, bytes]) -> bytes:
    """The text for stdout, in nginx's form; ``files`` maps paths to contents, as ``parse`` fills it."""
    return b"".join(b"# configuration file %s:\n%s\n" % (os.fsencode(path), content) for path, content in files.items())
