"""The directive tree compiled to the objects that serve: settings merged, variables resolved, handlers in tuples.

The walk is driven by the modules' tables (``directives.py``); the core knows no module by name. Each block opens a ``Scope`` that says
whose settings a directive writes to. When the block ``http`` is complete, settings are merged from the outside in, as nginx does, and
every module gets its say for every location.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from ..http.phases import chain
from ..http.routing import Location, NameTable, Server
from ..http.template import Template, TemplateError, Variable, assigner, encode, split
from . import hints, known
from .directives import EVENTS, HTTP, LOCATION, MAIN, SERVER, UPSTREAM, Directive, Module, Settings, Where
from .errors import ConfigError, ConfigErrors
from .parse import Node, parse, parse_command_line

if TYPE_CHECKING:
    from ..process.logs import ErrorLog
    from ..process.shared_memory import Zone

_BLOCKS = {MAIN: "main", EVENTS: "events", HTTP: "http", SERVER: "server", LOCATION: "location", UPSTREAM: "upstream"}


@dataclass
class Options:
    """What the command line says. ``listen_map`` is from ``--listen FROM=TO``; ``http`` names the head parser."""

    conf: str = "conf/nginx.conf"
    prefix: str = "."
    globals: str = ""
    error_log: str | None = None
    http: str = "auto"
    listen_map: dict[int | str, int | str] = field(default_factory=dict)
    remember_heads: bool = True


@dataclass(frozen=True)
class Listen:
    """An address to bind. ``text`` is nginx's spelling (``0.0.0.0:80``, ``[::]:80``, ``unix:/path``)."""

    family: int
    address: Any
    text: str
    backlog: int = field(default=511, compare=False)
    reuseport: bool = field(default=False, compare=False)
    ipv6only: bool = field(default=True, compare=False)
    rcvbuf: int | None = field(default=None, compare=False)
    sndbuf: int | None = field(default=None, compare=False)
    ssl: bool = field(default=False, compare=False)
    file: str = field(default="", compare=False)
    line: int = field(default=0, compare=False)


@dataclass
class AddressConfig:
    """What is served on one bound address: by name, or first by local address where ``listen`` names several on one port."""

    listen: Listen
    names: NameTable
    port: int
    by_local: dict[str, NameTable] = field(default_factory=dict)


@dataclass
class Scope:
    """The block that the walk is in: where it is, and whose settings its directives write to."""

    where: Where
    server: dict[str, Settings] = field(default_factory=dict)
    location: dict[str, Settings] = field(default_factory=dict)
    server_object: Server | None = None
    loc: Location | None = None
    extra: Any = None


class Config:
    """The whole configuration, compiled. Attributes of the main context are set by the module ``core``."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.prefix = options.prefix
        self.conf_path = options.conf
        self.main: dict[str, Settings] = {}
        self.daemon = False
        self.master_process = True
        self.worker_processes = 1
        self.privileged_agent = False  #: whether there is one beside them (``ngx.process.enable_privileged_agent``)
        self.pid = ""
        self.user: tuple[str, str | None] | None = None
        self.error_logs: list[tuple[str, str]] = []
        self.env: list[str] = []
        self.worker_shutdown_timeout: float | None = None
        self.worker_rlimit_nofile: int | None = None
        self.working_directory: str | None = None
        self.log_files: set[str] = set()
        #: Folders for temporary files, made at start-up for the workers' user.
        self.temp_folders: set[str] = set()
        self.notices: list[str] = []
        self.warnings: list[ConfigError] = []
        #: The content of every file read, by path (for ``-T``).
        self.files: dict[str, bytes] = {}
        self.variables: dict[str, Variable] = {}
        self.prefix_variables: dict[str, Callable[[str], Variable]] = {}
        #: What directives set variables to, by the directive's name, for ``ndk.set_var``: ``function(r, value)``.
        self.set_var: dict[bytes, Callable[[Any, bytes], bytes | None]] = {}
        self.servers: list[Server] = []
        self.addresses: dict[Listen, AddressConfig] = {}
        self.has_events = False
        self.has_http = False
        self.error_log: ErrorLog
        self.lua: Any = None
        self.worker: Any = None
        self.worker_id = 0
        #: Coroutine functions that modules run when a worker starts and ends, with the HttpWorker.
        self.worker_start: list[Callable[[Any], Any]] = []
        self.worker_exit: list[Callable[[Any], Any]] = []
        #: Functions that modules run in a worker at its very end, graceful or not.
        self.worker_end: list[Callable[[], None]] = []
        #: Functions that modules run in a worker when it begins to end gracefully.
        self.worker_quit: list[Callable[[], None]] = []
        #: Functions that modules run in the master before the fork.
        self.master_start: list[Callable[[Config], None]] = []
        #: Memory that the workers share and that outlives a reload, by name; it is there once the cycle is opened.
        self.shared_memory: dict[str, Zone] = {}

    @property
    def listens(self) -> list[Listen]:
        """The addresses to bind."""
        return list(self.addresses)

    def master_init(self) -> None:
        """Run what has to run in the master before workers are forked (``init_by_lua*``)."""
        for hook in self.master_start:
            hook(self)

    def summary(self) -> list[str]:
        """What is served where, a line each, for a person at a terminal."""
        lines = []
        for address in self.addresses.values():
            names = sorted({s.name.decode() for s in self.servers if s.name and address.listen in s.listens})
            where = address.listen.text
            host, _, port = where.rpartition(":")
            scheme = "https" if address.names.tls else "http"
            if where.startswith("unix:"):
                url = where
            elif host in ("0.0.0.0", "[::]"):
                url = f"{scheme}://127.0.0.1:{port}/" if host == "0.0.0.0" else f"{scheme}://[::1]:{port}/"
            else:
                url = f"{scheme}://{where}/"
            lines.append(f"{url}" + (f"  ({', '.join(names)})" if names else ""))
        return lines

    def variable(self, name: str) -> Variable | None:
        """The variable called ``name``, or None. One with a prefix (``http_…``) that nothing defined is made here.

        Names of variables have no case. nginx: ``ngx_http_get_variable_index``.
        """
        name = name.lower()
        found = self.defined(name)
        if found is None:
            for prefix, make in self.prefix_variables.items():
                if name.startswith(prefix):
                    return make(name[len(prefix) :])
        return found

    def defined(self, name: str) -> Variable | None:
        """The variable called ``name`` if a module or a directive defined it: ``set $arg_a`` does, being used does not."""
        found = self.variables.get(name.lower())
        return found if found is not None and found.get is not None else None


class Builder:
    """Walks the tree and fills a Config. Modules' setters get it as ``cf``."""

    def __init__(self, modules: list[Module], options: Options, collect: bool = False) -> None:
        self.modules = modules
        self.options = options
        self.config = Config(options)
        self.prefix = options.prefix
        self.conf_prefix = os.path.dirname(os.path.abspath(options.conf))
        self.collect = collect
        self.errors: list[ConfigError] = []
        self.node = Node("", [], options.conf, 0, None)
        self.scope = Scope(MAIN)
        self.table: dict[str, list[tuple[Module, Directive]]] = {}
        self._unresolved: list[tuple[Variable, Node]] = []
        self._finishers: list[Callable[[], None]] = []
        #: ``if`` and ``limit_except`` locations and servers in the order they were opened, for merging.
        self.http_scope: Scope | None = None
        self.server_scopes: list[tuple[Server, Scope]] = []
        self._location_scopes: list[tuple[Location, dict[str, Settings]]] = []
        for module in modules:
            if module.main is not None:
                self.config.main[module.name] = module.main()
            for directive in module.directives:
                self.table.setdefault(directive.name, []).append((module, directive))

    # -- for modules

    def error(self, message: str, hint: str | None = None, node: Node | None = None) -> ConfigError:
        """An error at the current directive, to be raised."""
        node = node or self.node
        return ConfigError(message, node.file, node.line, hint)

    def warn(self, message: str, hint: str | None = None) -> None:
        """A ``[warn]`` line at start-up."""
        self.config.warnings.append(ConfigError(message, self.node.file, self.node.line, hint, "warn"))

    def ineffective(self, node: Node, why: str) -> None:
        """A directive whose effect doesn't exist here: said once for each name."""
        text = f'"{node.name}" has no effect in pyresty: {why}'
        if not any(w.message == text for w in self.config.warnings):
            self.config.warnings.append(ConfigError(text, node.file, node.line, None, "notice"))

    def template(self, text: str) -> Template:
        """Compile a string with ``$variables``."""
        try:
            parts = split(text)
        except TemplateError as error:
            raise self.error(str(error)) from None
        return Template(text, tuple(encode(p) if isinstance(p, str) else self.variable(p[0]) for p in parts))

    def variable(self, name: str) -> Variable:
        """The variable ``name`` for use in a template; it may be defined later, and is an error at the end if it isn't."""
        found = self._declared(name)
        if found.get is None:
            self._unresolved.append((found, self.node))
        return found

    def define(self, name: str, get: Any, set: Any = None) -> Variable:
        """Define the variable ``name``; one that exists keeps its getter unless that is None."""
        found = self._declared(name)
        if found.get is None:
            found.get = get
            found.set = set
        return found

    def _declared(self, name: str) -> Variable:
        name = name.lower()
        return self.config.variables.setdefault(name, Variable(name))

    def compute(self, text: str, get: Callable[[Any], bytes | None], volatile: bool = False) -> Variable:
        """Define ``$name`` (``text``, with its dollar) as what ``get(r)`` gives when it is first read, unless ``set`` gave it a value.

        ``volatile``: whenever it is read. nginx: a changeable variable with a get_handler.
        """
        name = text[1:]
        if not text.startswith("$") or not name:
            raise self.error(f'invalid variable name "{text}"')
        known = self.config.defined(name)
        if known is not None and known.set is None:
            raise self.error(f'the duplicate "{name}" variable')
        variable = self._declared(name)
        name = variable.name

        def remembered(r: Any) -> bytes | None:
            if r.vars is None:
                r.vars = {}
            elif name in r.vars:
                found: bytes | None = r.vars[name]
                return found
            value = r.vars[name] = get(r)
            return value

        variable.get = get if volatile else remembered
        variable.set = assigner(name)
        return variable

    def path(self, name: str, *, conf: bool = False) -> str:
        """A path of the configuration made absolute: below the prefix, or below the conf file's folder if ``conf``."""
        return os.path.join(self.conf_prefix if conf else self.prefix, name)

    def later(self, finish: Callable[[], None]) -> None:
        """Run ``finish`` when the whole tree has been walked and merged; errors in it are the current directive's."""
        node, scope = self.node, self.scope

        def run() -> None:
            self.node, self.scope = node, scope
            finish()

        self._finishers.append(run)

    def new_server_scope(self, where: Where) -> Scope:
        """A scope with settings of its own for both levels (``http``, ``server``, ``upstream``)."""
        return Scope(
            where,
            {m.name: m.server() for m in self.modules if m.server is not None},
            self.new_location_settings(),
        )

    def new_location_settings(self) -> dict[str, Settings]:
        """Unset location settings of every module."""
        return {m.name: m.location() for m in self.modules if m.location is not None}

    def add_location(self, loc: Location, settings: dict[str, Settings]) -> None:
        """Register a location (or ``if``) for merging, after its parent."""
        loc.conf = settings
        self._location_scopes.append((loc, settings))

    def walk(self, nodes: list[Node], scope: Scope) -> None:
        """Handle the directives of one block in ``scope``."""
        outer_scope, outer_node = self.scope, self.node
        self.scope = scope
        previous: Node | None = None
        for node in nodes:
            self.node = node
            try:
                self._directive(node, scope, previous)
            except ConfigError as error:
                if not self.collect:
                    raise
                self.errors.append(error)
            previous = node
        self.scope, self.node = outer_scope, outer_node

    def _directive(self, node: Node, scope: Scope, previous: Node | None) -> None:
        rows = self.table.get(node.name)
        if rows is None:
            found = known.lookup(node.name)
            if found is not None:
                raise self.error(f'"{node.name}" directive is not supported by pyresty yet ({found.module})')
            raise self.error(f'unknown directive "{node.name}"', hints.unknown_directive(node.name, list(self.table)))
        here = [(m, d) for m, d in rows if d.where & scope.where]
        if not here:
            where = Where(0)
            for _, d in rows:
                where |= d.where
            raise self.error(
                f'"{node.name}" directive is not allowed here', hints.misplaced(node, scope.where, where, previous)
            )
        module, directive = here[0]
        if directive.block:
            if node.block is None:
                raise self.error(f'directive "{node.name}" has no opening "{{"')
        elif node.block is not None:
            raise self.error(f'directive "{node.name}" is not terminated by ";"', hints.missing_semicolon(node))
        low, high, _ = directive.args
        if len(node.args) < low or (high is not None and len(node.args) > high):
            raise self.error(f'invalid number of arguments in "{node.name}" directive', hints.missing_semicolon(node))
        settings: Any
        if directive.level == "main":
            settings = self.config.main.get(module.name)
        elif directive.level == "server":
            settings = scope.server.get(module.name)
        else:
            settings = scope.location.get(module.name)
        try:
            directive.set(self, settings, node)
        except ValueError as error:
            raise self.error(f'"{node.name}" directive {error}') from None

    # -- the end of the walk

    def finish(self) -> None:
        """Merge, let the modules add their handlers, check variables, arrange locations and addresses."""
        http = self.http_scope
        if http is not None:
            for settings in (*http.server.values(), *http.location.values()):
                settings.merge(None)
            for server, scope in self.server_scopes:
                for name, settings in scope.server.items():
                    settings.merge(http.server[name])
                for name, settings in scope.location.items():
                    settings.merge(http.location[name])
                server.conf = scope.server
            for loc, conf in self._location_scopes:
                assert loc.parent is not None
                for name, settings in conf.items():
                    settings.merge(loc.parent.conf[name])
            for server, _ in self.server_scopes:
                self._complete(server.root)
            for loc, _ in self._location_scopes:
                self._complete(loc)
        for run in self._finishers:
            self._guard(run)
        for module in self.modules:
            if module.finish is not None:
                self._guard(lambda m=module: m.finish(self))  # type: ignore[misc]
        for variable, node in self._unresolved:
            if variable.get is None:
                self._guard(partial(self._resolve, variable, node))
        if http is not None:
            for server, _ in self.server_scopes:
                self._arrange(server.root)

    def _resolve(self, variable: Variable, node: Node) -> None:
        """Make a variable that is used and that nothing defined from its prefix; refuse one without."""
        made = self.config.variable(variable.name)
        # as in nginx the table has the defined ones only: no other can be written
        self.config.variables.pop(variable.name, None)
        if made is None:
            self.node = node
            name, names = variable.name, list(self.config.variables)
            raise self.error(f'unknown "{name}" variable', hints.unknown_variable(name, names))
        variable.get = made.get

    def _guard(self, run: Callable[[], None]) -> None:
        try:
            run()
        except ConfigError as error:
            if not self.collect:
                raise
            self.errors.append(error)

    def _complete(self, loc: Location) -> None:
        loc.core = loc.conf["http_core"]
        for module in self.modules:
            if module.on_location is not None:
                module.on_location(self, loc)

    def _arrange(self, loc: Location) -> None:
        """Sort the locations inside ``loc`` for look-up, make filters and content handlers, and do the same below."""
        if loc.kind == "server":
            loc.server.quiet = loc.server.script is None and not loc.server.rewrite
        filters, captured = [], []
        for module in reversed(self.modules):
            if module.header_filter is not None:
                made = module.header_filter(loc)
                if made is not None:
                    filters.append(made)
                    if module.before_capture:
                        captured.append(made)
        loc.header_filters = tuple(filters)
        loc.capture_filters = tuple(captured)
        factory, outer = loc.content_factory, loc
        while factory is None and outer.kind == "if" and outer.parent is not None:
            outer = outer.parent
            factory = outer.content_factory
        loc.content = factory(loc) if factory is not None else chain(loc.content_chain)
        table = loc.locations
        table.redirects = False
        regex = []
        for child in loc.children:
            if child.kind == "exact":
                table.exact[child.prefix] = child
                table.redirects = table.redirects or child.auto_redirect
            elif child.kind in ("prefix", "noregex"):
                table.prefix[child.prefix] = child
                table.redirects = table.redirects or child.auto_redirect
            elif child.kind == "regex":
                regex.append(child)
            elif child.kind == "named":
                table.named[child.prefix] = child
            self._arrange(child)
        table.regex = tuple(regex)
        table.lengths = tuple(sorted({len(name) for name in table.prefix}, reverse=True))
        loc.nests = bool(table.exact or table.prefix or table.regex)
        quiet = not (loc.script or loc.first_rewrite or loc.rewrite or loc.preaccess or loc.access or loc.precontent)
        loc.simple = (
            quiet and loc.limit_except is None and not loc.postpones
            and loc.server.quiet
        )  # fmt: skip


def load(options: Options, *, test_only: bool = False, notice: Callable[[str], None] | None = None) -> Config:
    """Read and compile the configuration file of ``options``.

    With ``test_only`` every error is gathered and Lua files are compiled too. Raises ConfigError, or ConfigErrors with all of them.
    """
    from ..modules import load_modules

    modules = load_modules()
    builder = Builder(modules, options, test_only)
    for module in modules:
        if module.prepare is not None:
            module.prepare(builder)
    nodes: list[Node] = []
    broken: ConfigError | None = None
    try:
        if options.globals:
            nodes += parse_command_line(options.globals, builder.conf_prefix)
        nodes += parse(options.conf, builder.conf_prefix, notice or builder.config.notices.append, builder.config.files)
    except ConfigError as error:
        # what stands before a syntax error is checked first, as nginx reads
        broken = error
        nodes += error.before
    builder.walk(nodes, Scope(MAIN))
    if broken is not None:
        raise ConfigErrors([*builder.errors, broken]) if builder.errors else broken
    builder.node = Node("", [], options.conf, nodes[-1].line if nodes else 0, None)
    if not any(node.name == "events" for node in nodes):
        missing = ConfigError('no "events" section in configuration', None, None, hints.missing_events())
        if not test_only:
            raise missing
        builder.errors.append(missing)
    builder.finish()
    if builder.errors:
        raise ConfigErrors(builder.errors)
    return builder.config


__all__ = ["AddressConfig", "Builder", "Config", "Listen", "Options", "Scope", "load"]
