"""A user's mistake in the configuration: always a message in nginx's words, a place, and where we know it the mend.
Never a traceback.

Other programs read nginx's first line, so it is kept to the letter; what we have to say beyond it goes on a line of
its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .parse import Node


class ConfigError(Exception):
    """One mistake.

    ``line`` is the line that nginx would name: the one of the directive's ``;`` or ``{``. It is None (or 0) where
    there is none, as for ``-g`` (``file`` is then ``command line``). ``level`` is nginx's: ``emerg``, or ``crit`` for
    a failed read. ``before`` holds the directives read before a syntax error stopped the reading, so that ``-t`` can
    check those too.
    """

    def __init__(
        self,
        message: str,
        file: str | None = None,
        line: int | None = None,
        hint: str | None = None,
        level: str = "emerg",
    ) -> None:
        super().__init__(message, file, line, hint, level)
        self.message = message
        self.file = file
        self.line = line
        self.hint = hint
        self.level = level
        self.before: list[Node] = []

    def __str__(self) -> str:
        if self.file is None:
            return self.message
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{self.message} in {place}"


class ConfigErrors(Exception):
    """All the mistakes found in one configuration, in the order of the text. ``errors`` is never empty."""

    def __init__(self, errors: list[ConfigError]) -> None:
        super().__init__(errors)
        self.errors = errors

    def __str__(self) -> str:
        return "\n".join(map(str, self.errors))


def render(error: ConfigError) -> str:
    """``error`` as it goes to stderr, without the last newline: ``nginx: [LEVEL] MESSAGE in FILE:LINE``, then the hint.

    The prefix is nginx's, and OpenResty's too: deploy tools look for it.
    """
    text = f"nginx: [{error.level}] {error}"
    return f"{text}\n    hint: {error.hint}" if error.hint else text
