from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from nameserver import NameServer

from pyresty.upstream.resolver import SYSTEM, ResolveError, Resolver, local_servers


@pytest.fixture
def server() -> Iterator[NameServer]:
    made = NameServer()
    yield made
    made.close()


def resolve(resolver: Resolver, *names: bytes) -> list[list[str] | bytes]:
    """The sorted addresses, or the error's text, of names looked up at once."""

    async def one(name: bytes) -> list[str] | bytes:
        try:
            return sorted(await resolver.resolve(name, 5))
        except ResolveError as error:
            return error.text

    async def all_() -> list[list[str] | bytes]:
        return await asyncio.gather(*map(one, names))

    return asyncio.run(all_())


def test_addresses_of_both_kinds(server: NameServer) -> None:
    assert resolve(Resolver([server.address], None, True, True), b"both.example") == [["127.0.0.1", "127.0.0.2", "::1"]]
    assert resolve(Resolver([server.address], None, True, False), b"both.example") == [["127.0.0.1", "127.0.0.2"]]
    assert resolve(Resolver([server.address], None, False, True), b"both.example") == [["::1"]]


def test_errors_are_nginx_s(server: NameServer) -> None:
    resolver = Resolver([server.address], None, True, True)
    assert resolve(resolver, b"nx.example", b"none.example", b"broken.example", b"refused.example", b"a..b") == [
        b"nx.example could not be resolved (3: Host not found)",
        b"none.example could not be resolved (3: Host not found)",
        b"broken.example could not be resolved (2: Server failure)",
        b"refused.example could not be resolved (5: Operation refused)",
        b"a..b could not be resolved (1: Format error)",
    ]


def test_one_query_for_many_who_ask_at_once(server: NameServer) -> None:
    resolver = Resolver([server.address], None, True, False)
    assert resolve(resolver, *[b"two.example"] * 9, b"TWO.example") == [["127.0.0.1", "127.0.0.2"]] * 10
    assert server.asked == {(b"two.example", 1): 1}


def twice(resolver: Resolver, name: bytes) -> None:
    async def ask() -> None:
        for _ in range(2):
            await resolver.resolve(name, 5)

    asyncio.run(ask())


def test_answers_are_kept_for_their_time(server: NameServer) -> None:
    twice(Resolver([server.address], None, True, False), b"two.example")
    assert server.asked == {(b"two.example", 1): 1}


def test_valid_replaces_the_time_that_the_server_gives(server: NameServer) -> None:
    twice(Resolver([server.address], 0.0, True, False), b"two.example")
    assert server.asked == {(b"two.example", 1): 2}
    server.ttl = 0
    twice(Resolver([server.address], 60.0, True, False), b"two.other")
    assert server.asked[b"two.other", 1] == 1


def test_failures_are_asked_again(server: NameServer) -> None:
    resolver = Resolver([server.address], None, True, False)
    assert resolve(resolver, b"nx.example") == resolve(resolver, b"nx.example")
    assert server.asked == {(b"nx.example", 1): 2}


def test_a_silent_server_times_out(server: NameServer) -> None:
    async def ask() -> bytes:
        with pytest.raises(ResolveError) as caught:
            await Resolver([server.address], None, True, False).resolve(b"silent.example", 0.1)
        return caught.value.text

    assert asyncio.run(ask()) == b"silent.example could not be resolved (110: Operation timed out)"


def test_addresses_take_turns(server: NameServer) -> None:
    async def ask() -> set[str]:
        resolver = Resolver([server.address], None, True, False)
        return {(await resolver.resolve(b"two.example"))[0] for _ in range(64)}

    assert asyncio.run(ask()) == {"127.0.0.1", "127.0.0.2"}


def test_name_servers_of_a_file(tmp_path: Path) -> None:
    """OpenResty's ``local=path``: as resolv.conf(5) has it, added to those that are named."""
    (tmp_path / "servers").write_text(
        "# nameserver 127.0.0.9\nsearch example.com\nnameserver 127.0.0.1 # first\nnameserver\n"
        "nameserver no.address\n nameserver ::1\nnameserver fe80::1%lo\noptions rotate\n"
    )
    cf: Any = SimpleNamespace(error=ValueError, path=lambda name, conf: str(tmp_path / name), config=None)
    assert local_servers(cf, str(tmp_path / "servers")) == ["127.0.0.1:53", "[::1]:53", "[fe80::1]:53%lo"]

    def configured(*args: str) -> Resolver:
        return Resolver.configured(cf, cast(Any, SimpleNamespace(args=args)))

    assert configured("local=servers", "127.0.0.2:5353").servers[0] == "127.0.0.1:53"
    assert configured("local=off", "127.0.0.2:5353").servers == ["127.0.0.2:5353"]
    with pytest.raises(ValueError, match="no name servers defined"):
        configured("local=off")
    with pytest.raises(ValueError, match=r'open\(\) ".*/none" failed \(2: No such file or directory\)'):
        configured("local=none")


def test_the_system_s_resolver() -> None:
    async def ask(name: bytes) -> list[str]:
        return await SYSTEM.resolve(name)

    assert "127.0.0.1" in asyncio.run(ask(b"localhost"))
    with pytest.raises(ResolveError) as caught:
        asyncio.run(ask(b"no.such.host.invalid"))
    assert caught.value.text in (
        b"no.such.host.invalid could not be resolved (3: Host not found)",
        b"no.such.host.invalid could not be resolved (2: Server failure)",
    )
