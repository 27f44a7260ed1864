"""The command line: nginx's switches, read as nginx reads them (``-tq``, ``-cFILE``), and two of ours.

Everything a switch does not need is imported only where it is needed: ``pyresty -v`` is instant, and so is a start.

Source: nginx's "Command-line parameters".
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from . import NGINX_VERSION, __version__

if TYPE_CHECKING:
    from .config.build import Config, Options

USAGE = """\
Usage: pyresty [-?hvVtTq] [-s signal] [-p prefix]
               [-e filename] [-c filename] [-g directives]
               [--listen FROM=TO]... [--http PARSER]

Options:
  -?,-h            : this help
  -v               : show version and exit
  -V               : show version and the modules that are built in, then exit
  -t               : test configuration and exit
  -T               : test configuration, dump it and exit
  -q               : suppress non-error messages during configuration testing
  -s signal        : send signal to a master process: stop, quit, reopen, reload
  -p prefix        : set prefix path (default: the folder above the configuration
                     file's folder "conf", else the current one)
  -e filename      : set error log file (default: logs/error.log)
  -c filename      : set configuration file (default: conf/nginx.conf)
  -g directives    : set global directives out of configuration file
  --listen FROM=TO : listen on TO where the configuration says FROM; each is a port
                     or address:port. Example: --listen 80=8000
  --http PARSER    : what reads requests: auto (default), h11 or httptools
"""

_MISSING = {
    "p": "requires directory name",
    "e": "requires file name",
    "c": "requires file name",
    "g": "requires parameter",
    "s": "requires parameter",
    "listen": "requires FROM=TO, each a port or address:port",
    "http": "requires auto, h11 or httptools",
}
#: Modules that nginx is built with unless told otherwise.
_DEFAULT_MODULES = (
    *("access", "auth_basic", "autoindex", "browser", "charset", "empty_gif", "fastcgi", "geo", "grpc", "gzip"),
    *("limit_conn", "limit_req", "map", "memcached", "mirror", "proxy", "referer", "rewrite", "scgi", "split_clients"),
    *("ssi", "userid", "uwsgi"),
)
_SIGNALS = ("stop", "quit", "reopen", "reload")
_PARSERS = ("auto", "h11", "httptools")


class UsageError(Exception):
    """The command line makes no sense; the message is nginx's, without ``nginx:``."""


class Arguments:
    """What the command line says. ``values`` has the last value of each switch that takes one."""

    def __init__(self, words: list[str]) -> None:
        self.flags: set[str] = set()
        self.values: dict[str, str] = {}
        self.listen_map: dict[int | str, int | str] = {}
        rest = iter(words)
        for word in rest:
            if word.startswith("--") and word[2:].partition("=")[0] in ("listen", "http"):
                name, equals, value = word[2:].partition("=")
                self._value(name, value if equals else next(rest, None))
            elif word.startswith("-"):
                self._letters(word, rest)
            else:
                raise UsageError(f'invalid option: "{word}"')

    def _letters(self, word: str, rest: Iterator[str]) -> None:
        for position, letter in enumerate(word[1:], 2):
            if letter in "?hvVtTq":
                self.flags.add("h" if letter == "?" else letter)
            elif letter in "pecgs":
                self._value(letter, word[position:] or next(rest, None))
                return
            else:
                raise UsageError(f'invalid option: "{letter if not word.startswith("--") else word}"')

    def _value(self, name: str, value: str | None) -> None:
        if value is None:
            raise UsageError(f'option "{"-" if len(name) == 1 else "--"}{name}" {_MISSING[name]}')
        if name == "s" and value not in _SIGNALS:
            raise UsageError(f'invalid option: "-s {value}"')
        if name == "http" and value not in _PARSERS:
            raise UsageError(f'invalid option: "--http {value}"; it {_MISSING[name]}')
        if name == "listen":
            source, _, target = value.partition("=")
            self.listen_map[_address(source)] = _address(target)
        self.values[name] = value

    def options(self) -> Options:
        """Where things are, as ``-p`` and ``-c`` say; absolute."""
        from .config.build import Options

        prefix, conf = self.values.get("p"), self.values.get("c")
        if prefix is None:
            conf = os.path.abspath(conf or "conf/nginx.conf")
            folder = os.path.dirname(conf)
            prefix = os.path.dirname(folder) if os.path.basename(folder) == "conf" else os.getcwd()
        prefix = os.path.abspath(prefix)
        error_log = self.values.get("e")
        return Options(
            conf=os.path.join(prefix, conf or "conf/nginx.conf"),
            prefix=os.path.join(prefix, ""),
            globals=self.values.get("g", ""),
            error_log=_error_log(error_log, prefix),
            http=self.values.get("http", "auto"),
            listen_map=self.listen_map,
        )


def _error_log(name: str | None, prefix: str) -> str | None:
    """``-e``: nginx takes an empty name for ``stderr``."""
    if name is None:
        return None
    return os.path.join(prefix, name) if name not in ("", "stderr") else "stderr"


def main(words: list[str] | None = None) -> int:
    """Run the command with these words (default: the process's own); returns the exit code."""
    gc.disable()  # until all is set up: nothing made on the way is garbage
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from .process.logs import to_stderr

    try:
        arguments = Arguments(sys.argv[1:] if words is None else words)
    except UsageError as error:
        to_stderr(str(error))
        return 1
    flags = arguments.flags
    if flags & {"h", "v", "V"}:
        show_version(help="h" in flags, modules="V" in flags)
        if not flags & {"t", "T"}:
            return 0
    return _run(arguments)


def _run(arguments: Arguments) -> int:
    """Everything that reads the configuration."""
    from .config.build import load
    from .config.errors import ConfigError, ConfigErrors
    from .process import pidfile, signals
    from .process.cycle import first_log, open_cycle, report
    from .process.logs import ErrorLog, to_stderr

    options = arguments.options()
    test = bool(arguments.flags & {"t", "T"})
    loud = "q" not in arguments.flags
    ErrorLog.copy_to_stderr = True
    log = first_log(options.prefix, options.error_log)
    try:
        config = load(options, test_only=test)
        if test and loud:
            to_stderr(f"the configuration file {options.conf} syntax is ok")
        if "s" in arguments.values and not test:
            return pidfile.send(arguments.values["s"], config.pid, log)
        if not test:
            signals.block()  # once the sockets listen, a client may think us up and send one
        cycle = open_cycle(config, log, test=test)
    except (ConfigError, ConfigErrors) as error:
        report(error, log)
        if test:
            to_stderr(f"configuration file {options.conf} test failed")
        return 1
    if test:
        if loud:
            to_stderr(f"configuration file {options.conf} test is successful")
        if "T" in arguments.flags:
            _dump(config)
        return 0

    from .http.worker import HttpWorker
    from .process.master import Master

    return Master(cycle, lambda: load(options), HttpWorker).run()


def show_version(*, help: bool = False, modules: bool = False) -> None:
    """What ``-v``, ``-h`` and ``-V`` print on the standard error output, in the lines that tools expect of nginx."""
    lines = [f"nginx version: nginx/{NGINX_VERSION} (pyresty {__version__})\n"]
    if help:
        lines.append(USAGE)
    if modules:
        import ssl

        from lupa import luajit21

        from .modules import names

        lua = luajit21.LuaRuntime().eval("jit.version")
        lines.append(f"built by Python {sys.version.split()[0]}, {lua}\n")
        lines.append(f"built with {ssl.OPENSSL_VERSION}\n")
        lines.append(f"TLS SNI support {'enabled' if ssl.HAS_SNI else 'disabled'}\n")
        lines.append("configure arguments: " + " ".join(configure_arguments(names())) + "\n")
    sys.stderr.write("".join(lines))


def configure_arguments(names: list[str]) -> list[str]:
    """What nginx would have been configured with to have these modules: tools look there for what a server can do."""
    modules = [name if name.startswith(("http_", "stream_")) else f"http_{name}" for name in names]
    without = [f"http_{name}" for name in _DEFAULT_MODULES if f"http_{name}" not in modules]
    return [
        f"--prefix={os.getcwd()}",
        "--conf-path=conf/nginx.conf",
        *(f"--with-{name}_module" for name in modules if name not in ("http_core", "http_events")),
        *(f"--without-{name}_module" for name in without),
    ]


def _dump(config: Config) -> None:
    from .config.dump import dump

    with suppress(BrokenPipeError):  # the reader has seen enough
        sys.stdout.buffer.write(dump(config.files))
        sys.stdout.flush()


def _address(text: str) -> int | str:
    """A port as a number, or ``address:port``. Raises :class:`UsageError`."""
    port = text.rpartition(":")[2]
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise UsageError(f'invalid address "{text}": "--listen" {_MISSING["listen"]}')
    return text if ":" in text else int(text)
