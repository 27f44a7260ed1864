"""Log files and error logs, alone."""

from __future__ import annotations

import asyncio
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyresty.process import logs
from pyresty.process.logs import DEBUG, EMERG, ERR, INFO, NOTICE, STDERR, WARN, ErrorLog, LogFile


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """No file stays open from one test to the next."""
    yield
    logs.close_unused(set())
    logs.main_log = None
    ErrorLog.copy_to_stderr = False


def opened(path: Path) -> LogFile:
    logs.open_files([str(path)])
    return logs.log_file(str(path))


def test_line_is_nginx_s(tmp_path: Path) -> None:
    log = ErrorLog([(opened(tmp_path / "e.log"), DEBUG)])
    log.write(ERR, "it failed", 5)
    log.write(NOTICE, b"bytes \xff")
    first, second = (tmp_path / "e.log").read_bytes().splitlines()
    pid = os.getpid()
    assert re.fullmatch(rb"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[error\] %d#%d: \*5 it failed" % (pid, pid), first)
    assert second.endswith(b"[notice] %d#%d: bytes \xff" % (pid, pid))


def test_child_process_writes_its_own_id(tmp_path: Path) -> None:
    log = ErrorLog([(opened(tmp_path / "e.log"), DEBUG)])
    child = os.fork()
    if child == 0:
        log.write(ERR, "hello")
        os._exit(0)
    os.waitpid(child, 0)
    assert f" {child}#{child}: hello\n" in (tmp_path / "e.log").read_text()


def test_level_of_stderr_has_empty_brackets(tmp_path: Path) -> None:
    log = ErrorLog([(opened(tmp_path / "e.log"), EMERG)])
    log.write(STDERR, "told")
    assert " [] " in (tmp_path / "e.log").read_text()


def test_each_target_takes_its_levels(tmp_path: Path) -> None:
    some, more = opened(tmp_path / "some"), opened(tmp_path / "more")
    log = ErrorLog([(some, ERR), (more, INFO)])
    assert log.level == INFO
    assert log.enabled(INFO) and not log.enabled(DEBUG)
    for level in (ERR, INFO, DEBUG):
        log.write(level, f"at {level}")
    assert (tmp_path / "some").read_text().count("\n") == 1
    assert [line[-4:] for line in (tmp_path / "more").read_text().splitlines()] == [f"at {ERR}", f"at {INFO}"]


def test_levels_by_name() -> None:
    assert [logs.LEVELS[name] for name in ("emerg", "warn", "debug", "debug_http")] == [EMERG, WARN, DEBUG, DEBUG]
    assert "" not in logs.LEVELS


def test_long_line_is_cut_where_openresty_cuts_it(tmp_path: Path) -> None:
    log = ErrorLog([(opened(tmp_path / "e.log"), ERR)])
    log.write(ERR, "x" * 5000)
    log.write(ERR, "next")
    first, second = (tmp_path / "e.log").read_bytes().splitlines(keepends=True)
    assert len(first) == 4096
    assert second.endswith(b": next\n")


def test_error_log_from_configuration(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = str(tmp_path / "e.log")
    log = logs.error_log([("stderr", "error"), (path, "warn")])
    log.write(ERR, "before it is open")
    logs.open_files([path])
    log.write(ERR, "both")
    log.write(WARN, "file only")
    assert log.paths() == {path} and log.uses_stderr()
    assert [line.split(": ")[1] for line in (tmp_path / "e.log").read_text().splitlines()] == ["both", "file only"]
    assert [line.split(": ")[1] for line in capfd.readouterr().err.splitlines()] == ["before it is open", "both"]


def test_urgent_messages_are_copied_to_stderr_at_start(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    log = ErrorLog([(opened(tmp_path / "e.log"), INFO)])
    log.write(EMERG, "not at start")
    ErrorLog.copy_to_stderr = True
    log.write(EMERG, "cannot", 3)
    log.write(WARN, "careful")
    log.write(NOTICE, "by the way")
    assert capfd.readouterr().err == "nginx: [emerg] cannot\nnginx: [warn] careful\n"
    assert (tmp_path / "e.log").read_text().count("\n") == 4


def test_nothing_is_copied_twice_to_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    ErrorLog.copy_to_stderr = True
    ErrorLog([(logs.standard_error, INFO)]).write(EMERG, "once")
    assert capfd.readouterr().err.count("once") == 1


def test_one_path_is_one_file(tmp_path: Path) -> None:
    path = str(tmp_path / "a.log")
    assert logs.log_file(path) is logs.log_file(path)
    old = os.umask(0o022)
    try:
        file = opened(tmp_path / "a.log")
    finally:
        os.umask(old)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o644
    fd = file.fd
    assert not os.get_inheritable(fd)
    logs.open_files([path])
    assert file.fd == fd and not os.get_inheritable(fd)
    file.write(b"one\n")
    assert (tmp_path / "a.log").read_bytes() == b"one\n"


def test_opening_is_all_or_nothing(tmp_path: Path) -> None:
    good, bad = str(tmp_path / "good"), str(tmp_path / "no" / "bad")
    before = len(os.listdir("/dev/fd"))
    with pytest.raises(FileNotFoundError) as caught:
        logs.open_files([good, bad])
    assert caught.value.filename == bad
    assert logs.reason(caught.value) == "(2: No such file or directory)"
    assert logs.log_file(good).fd == -1
    assert len(os.listdir("/dev/fd")) == before


def test_reopening_leaves_a_moved_file(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    file = opened(path)
    log = ErrorLog([(file, INFO)])
    file.buffered(100, None)
    logs.open_files([str(path)])
    file.write(b"old\n")
    path.rename(tmp_path / "a.log.1")
    logs.reopen(log)
    file.write(b"new\n")
    logs.flush()
    assert (tmp_path / "a.log.1").read_bytes() == b"old\n"
    assert path.read_bytes() == b"new\n"


def test_failed_reopening_keeps_the_file(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    log = ErrorLog([(opened(tmp_path / "e.log"), INFO)])
    file = opened(folder / "a.log")
    folder.rename(tmp_path / "away")
    logs.reopen(log)
    file.write(b"still\n")
    assert (tmp_path / "away/a.log").read_bytes() == b"still\n"
    assert f'open() "{folder}/a.log" failed (2: No such file or directory)' in (tmp_path / "e.log").read_text()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs super-user privileges")
def test_reopening_gives_files_to_the_workers_user(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    opened(path)
    path.chmod(0o444)
    logs.reopen(ErrorLog([]), uid=65534)
    info = path.stat()
    assert info.st_uid == 65534
    assert stat.S_IMODE(info.st_mode) == 0o644


def test_unused_files_are_closed(tmp_path: Path) -> None:
    kept, unused = opened(tmp_path / "kept"), opened(tmp_path / "unused")
    logs.close_unused({str(tmp_path / "kept")})
    unused.write(b"dropped")
    kept.write(b"written")
    assert unused.fd == -1
    assert (tmp_path / "unused").read_bytes() == b""
    assert (tmp_path / "kept").read_bytes() == b"written"


def test_buffer_is_written_when_it_would_overflow(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    file = logs.log_file(str(path))
    file.buffered(10, None)
    logs.open_files([str(path)])
    file.write(b"12345\n")
    assert path.read_bytes() == b""
    file.write(b"6789\n")
    assert path.read_bytes() == b"12345\n"
    file.write(b"longer than it\n")
    assert path.read_bytes() == b"12345\n6789\nlonger than it\n"
    file.write(b"last\n")
    logs.flush()
    assert path.read_bytes().endswith(b"last\n")


def test_buffer_is_written_after_its_time(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    file = logs.log_file(str(path))
    file.buffered(1000, 0.01)
    logs.open_files([str(path)])

    async def serve() -> None:
        for line in (b"one\n", b"two\n"):
            file.write(line)
            while not path.read_bytes().endswith(line):
                await asyncio.sleep(0.005)

    asyncio.run(asyncio.wait_for(serve(), 10))
    assert path.read_bytes() == b"one\ntwo\n"


def test_buffer_belongs_to_the_configuration_that_asked(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    file = logs.log_file(str(path))
    file.buffered(1000, None)
    logs.open_files([str(path)])
    logs.close_unused({str(path)})
    file.write(b"kept back\n")
    logs.open_files([str(path)])
    file.write(b"written\n")
    assert path.read_bytes() == b"kept back\nwritten\n"


def test_failed_writes_are_told_once(tmp_path: Path) -> None:
    logs.set_main_log(ErrorLog([(opened(tmp_path / "e.log"), INFO)]))
    full = opened(Path("/dev/full"))
    full.write(b"one\n")
    full.write(b"two\n")
    text = (tmp_path / "e.log").read_text()
    assert text.count('write() to "/dev/full" failed (28: No space left on device)') == 1
    assert " [alert] " in text


def test_stderr_follows_the_error_log(tmp_path: Path) -> None:
    path = tmp_path / "e.log"
    opened(path)
    child = os.fork()
    if child == 0:
        logs.redirect_stderr(logs.error_log([(str(path), "error")]))
        os.write(2, b"from below\n")
        logs.redirect_stderr(logs.error_log([(str(tmp_path / "other"), "error"), ("stderr", "error")]))
        os.write(2, b"still there\n")
        os._exit(0)
    os.waitpid(child, 0)
    assert path.read_bytes() == b"from below\nstill there\n"
