"""The settings that a request head is parsed by.

The one idea: what can be decided at start-up is decided here (which parser library, which table of names), and a
library is imported only when it is the one in use.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec

from .rules import NAMES


@dataclass(frozen=True, slots=True)
class HeadOptions:
    """Settings of a server (https://nginx.org/en/docs/http/ngx_http_core_module.html) and the choice of the parser.

    ``parser`` is "h11", "httptools", or "auto": httptools where it is installed. Raises ImportError if the parser is
    not installed, ValueError if there is none of that name.
    """

    ignore_invalid_headers: bool = True
    underscores_in_headers: bool = False
    merge_slashes: bool = True
    max_headers: int = 1000
    parser: str = "auto"
    split: Callable[[bytes], list[tuple[bytes, bytes]] | None] = field(init=False, repr=False, compare=False)
    names: dict[bytes, bytes] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        parser = self.parser
        if parser == "auto":
            parser = "httptools" if find_spec("httptools") else "h11"
        if parser not in ("h11", "httptools"):
            raise ValueError(f'unknown parser "{parser}"')
        codec = import_module(f".{parser}_codec", __package__)
        object.__setattr__(self, "split", codec.split)
        object.__setattr__(self, "names", NAMES[self.underscores_in_headers])
