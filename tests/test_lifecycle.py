"""What the programs say of themselves is what they are: manifest, banner, sockets and variables."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from support.hero import SCRIPTS, Hero, Server
from support.waiting import eventually

PROGRAMS = ["hero_logic", "hero_logic_server", "hero_logic_admin"]

# Writes down each variable that a program asks its C library for. Launches do not inherit it.
LISTENER = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

char *getenv(const char *name) {
    static char *(*real)(const char *);
    if (!real) real = (char *(*)(const char *))dlsym(RTLD_NEXT, "getenv");
    const char *path = real("GETENV_LOG");
    int log = path ? open(path, O_WRONLY | O_CREAT | O_APPEND, 0600) : -1;
    if (log >= 0) {
        char line[256];
        size_t n = strlen(name) < 255 ? strlen(name) : 255;
        memcpy(line, name, n);
        line[n] = '\\n';
        if (write(log, line, n + 1) < 0) {}
        close(log);
    }
    return real(name);
}
"""

# What a program asks for without being a setting of it: how its libraries and the system are set up.
OF_THE_SYSTEM = re.compile(
    r"HOME|PATH|LANG|LANGUAGE|LC_\w+|TZ|TZDIR|TMPDIR|USER|LOGNAME|SHELL|COLUMNS|LINES|CLICOLOR\w*|COLORTERM"
    r"|RUST_\w+|TOKIO_\w+|LLVM_\w+|GETENV_LOG|XDG_\w+|SSL_\w+|CHARSET|OUTPUT_CHARSET|RAYON_\w+|BORSH_\w+"
)


def told(program: str, *args: str, hero: Hero) -> str:
    done = subprocess.run(
        [SCRIPTS / program, *args], env=hero.env, capture_output=True, text=True, timeout=30, check=True
    )
    return done.stdout


def declared(program: str, table: str, hero: Hero) -> list[dict[str, str]]:
    """The entries of `[[table]]` in the manifest."""
    entries = told(program, "--info", hero=hero).split("\n[[")[1:]
    ours = [entry for entry in entries if entry.startswith(f"{table}]]")]
    return [dict(re.findall(r'^(\w+) = "(.*)"$', entry, re.MULTILINE)) for entry in ours]


# --- Banner and sockets -------------------------------------------------------------------------


def test_banner_manifest_and_sockets_of_the_server_agree(hero: Hero) -> None:
    places = declared("hero_logic_server", "sockets", hero)
    sockets = hero.data_dir / "var/sockets"
    with hero.server():
        banner = (hero.home / "hero_logic_server.log").read_text().splitlines()
        bound = {str(path.relative_to(sockets)) for path in sockets.rglob("*") if path.is_socket()}
    assert banner[0] == told("hero_logic_server", "--version", hero=hero).strip()
    listens = [f"  listens  {sockets / one['path']} ({one['protocol']})" for one in places]
    assert [line for line in banner if line.startswith("  listens")] == listens
    assert bound == {one["path"] for one in places}
    assert not [path for path in sockets.rglob("*") if path.is_socket()], "gone with the server"


def test_banner_and_manifest_of_the_web_ui_agree(hero: Hero) -> None:
    (place,) = declared("hero_logic_admin", "sockets", hero)
    assert place["path"] == "127.0.0.1:8899"
    assert "[default: 8899]" in told("hero_logic_admin", "--help", hero=hero)
    log = hero.home / "hero_logic_admin.log"
    with hero.server():
        admin = hero.spawn("hero_logic_admin", "--port", "0")
        eventually(lambda: log.exists() and "sign in" in log.read_text(), "the banner")
        admin.send_signal(signal.SIGTERM)
        assert admin.wait(timeout=30) == 0
    banner = log.read_text()
    assert banner.splitlines()[0] == told("hero_logic_admin", "--version", hero=hero).strip()
    port = re.search(r"sign in  http://127\.0\.0\.1:(\d+)/", banner)
    assert port and f"  listens  127.0.0.1:{port[1]} ({place['protocol']})" in banner.splitlines()


def test_a_live_socket_is_refused_and_a_stale_one_replaced(hero: Hero) -> None:
    with hero.server() as server:
        second = subprocess.run(
            [SCRIPTS / "hero_logic_server", "--data-dir", hero.home / "other"],
            env=hero.env | {"HERO_SOCKET_DIR": str(hero.data_dir / "var/sockets")},
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert second.returncode == 2 and "another server listens on" in second.stderr
        server.kill()
    assert hero.socket.is_socket(), "nobody has removed it"
    with hero.server() as server:
        assert server.answers_or_died() and server.process.poll() is None


# --- Variables ----------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform != "linux" or not shutil.which("cc"), reason="needs a C compiler on Linux")
def test_the_variables_that_are_read_are_those_of_the_manifests(hero: Hero) -> None:
    source, library = hero.home / "listener.c", hero.home / "listener.so"
    source.write_text(LISTENER)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    logs = {program: hero.home / f"{program}.getenv" for program in PROGRAMS}

    def listening(program: str) -> dict[str, str]:
        return {"LD_PRELOAD": str(library), "GETENV_LOG": str(logs[program])}

    flow = '@flow(env=["PERMITTED"])\ndef asks() -> bool:\n    return flow.pause("sure")\n'
    file = hero.write(flow)
    permitted = {"PERMITTED": "1", "HERO_PERMIT_ENV": "PERMITTED"}
    waits = hero("run", file, "--json", cwd=None, **permitted, **listening("hero_logic"))
    assert waits.code == 75, waits
    server = hero.start_server(**permitted, **listening("hero_logic_server"))
    try:
        play = server.call("play_start", file=str(file), working_dir=str(hero.work_dir))
        assert server.settled(play["sid"])["status"] == "awaiting_resume"
        log = hero.home / "hero_logic_admin.log"
        admin = hero.spawn("hero_logic_admin", "--port", "0", **listening("hero_logic_admin"))
        eventually(lambda: log.exists() and "sign in" in log.read_text(), "the banner")
        admin.send_signal(signal.SIGTERM)
        assert admin.wait(timeout=30) == 0
    finally:
        server.stop()

    for program in PROGRAMS:
        names = {variable["name"] for variable in declared(program, "env", hero)}
        read = set(logs[program].read_text().split()) - permitted.keys()
        settings = {name for name in read if not OF_THE_SYSTEM.fullmatch(name)}
        # Only a terminal is asked what it can do and whether it takes colours.
        on_a_terminal = {"NO_COLOR", "TERM"}
        assert settings - on_a_terminal <= names | {"HERO_PERMIT_ENV"}, program
        assert names - on_a_terminal <= settings | {"HERO_PERMIT_ENV"}, program


# --- Man pages and units ------------------------------------------------------------------------


def test_every_command_has_a_man_page(hero: Hero) -> None:
    written = hero("man", hero.home / "man1")
    assert written.code == 0, written
    listed = told("hero_logic", "--help", hero=hero).split("Commands:")[1].split("Options:")[0]
    commands = re.findall(r"^  ([a-z]+) ", listed, re.MULTILINE)
    assert {"run", "infocheck", "man"} <= set(commands)
    pages = {path.name for path in (hero.home / "man1").iterdir()}
    missing = {f"hero_logic-{command}.1" for command in commands if command != "help"} - pages
    assert not missing and {"hero_logic.1", "hero_logic-workflow-save.1"} <= pages
    page = (hero.home / "man1/hero_logic-run.1").read_text()
    assert "prefill" in page and ".TH" in page
    if shutil.which("man"):
        for name in pages:
            shown = subprocess.run(
                ["man", "--warnings", "-l", hero.home / "man1" / name],
                env=hero.env | {"MANPAGER": "cat", "LC_ALL": "C.UTF-8"},
                capture_output=True,
                text=True,
                check=True,
            )
            assert shown.stderr == "", name


def test_the_units_start_what_is_installed(hero: Hero) -> None:
    units = hero.home / "units"
    written = hero("units", units)
    assert written.code == 0, written
    command = re.search(r"^ExecStart=(.*)$", (units / "hero_logic_server.service").read_text(), re.MULTILINE)
    assert command and "@" not in command[1]
    program, *arguments = shlex.split(command[1])
    assert Path(program).resolve() == (SCRIPTS / "hero_logic_server").resolve()
    # As systemd does it: with none of the variables of a shell.
    process = subprocess.Popen([program, *arguments], env={"HOME": str(hero.home)}, cwd="/", text=True)
    try:
        eventually(Server(hero, process).answers_or_died, "the server to answer")
        assert process.poll() is None
    finally:
        process.terminate()
        assert process.wait(timeout=30) == 0
    admin = (units / "hero_logic_admin.service").read_text()
    writable = re.search(r'^ReadWritePaths="(.*)"$', admin, re.MULTILINE)
    assert writable and Path(writable[1]) == hero.socket.parent and hero.socket.parent.is_dir()


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze")
def test_systemd_accepts_the_units(hero: Hero) -> None:
    hero("units", hero.home / "units")
    units = sorted((hero.home / "units").glob("*.service"))
    assert len(units) == 2
    verified = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True, timeout=60
    )
    assert verified.returncode == 0 and "hero_logic" not in verified.stderr, verified


def test_a_path_that_a_unit_cannot_hold_is_refused(hero: Hero) -> None:
    refused = hero("--data-dir", hero.home / "100%", "units", hero.home / "units")
    assert refused.code == 2 and "cannot stand in a unit file" in refused.stderr
    assert not (hero.home / "units").exists()


# --- infocheck ----------------------------------------------------------------------------------


def test_infocheck_finds_no_issue_in_what_is_installed(hero: Hero) -> None:
    checked = hero("infocheck", HERO_PUBLIC_URL="what this shell has set decides nothing")
    assert (checked.code, checked.stdout, checked.stderr) == (0, "0 issues\n", "")
    assert hero("infocheck", "--json").json() == {"issues": []}
    assert not hero.data_dir.exists(), "it leaves the data directory alone"
    long = hero.home / ("x" * 90)
    long.mkdir()
    assert hero("infocheck", TMPDIR=str(long)).stdout == "0 issues\n", "too long for the path of a socket"


SERVER, ADMIN = "hero_logic_server", "hero_logic_admin"


def when(pattern: str, command: str) -> str:
    """A wrapper around a program that does something else with these arguments."""
    return f'case "$*" in {pattern}) {command};; esac'


def told_manifest(edit: str) -> str:
    return when("*--info*", f'"$real" --info | sed "{edit}"; exit')


def started(command: str) -> str:
    """Started as `--data-dir DIR --socket-dir DIR …`."""
    return when("--data-dir*", command)


# Seems to be there, and is not.
SEEMS_UP = 'echo http://127.0.0.1:1/ >$4/hero_logic/admin.url; echo "  sign in  " >&2'
BIND = "import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])"

# What is wrong with a program, and what is said about it.
FINDINGS = {
    "missing": (ADMIN, None, "there is no `hero_logic_admin` beside `hero_logic`"),
    "version_fails": (ADMIN, when("--version", "exit 3"), "--version ends with exit status: 3"),
    "version": (SERVER, when("--version", "echo hero_logic_server 0.0.9; exit"), "--version tells `hero_"),
    "info_fails": (SERVER, when("*--info*", "exit 3"), "unknown flag ends with exit status: 3"),
    "info_hangs": (SERVER, when("*--info*", "exec sleep 60"), "unknown flag does not end within"),
    "info_no_text": (SERVER, when("*--info*", r"printf '\xff'; exit"), "unknown flag prints what is no text"),
    "no_manifest": (ADMIN, told_manifest("s/kind/sort/"), "--info prints no manifest: "),
    "name": (ADMIN, told_manifest("s/_admin/_other/"), "its manifest is that of `hero_logic_other`"),
    "kind": (ADMIN, told_manifest(r"s/\"admin\"/\"cli\"/"), "of kind Cli, and it is of Admin"),
    "twice": (ADMIN, told_manifest("s/HERO_LOG/HERO_HOME/"), "its manifest names HERO_HOME twice"),
    "help_fails": (ADMIN, when("--help", "exit 3"), "--help ends with exit status: 3"),
    "variable": (SERVER, told_manifest("s/HERO_PYTHON/HERO_SNAKE/"), "it reads HERO_PYTHON, and"),
    "no_start": (SERVER, started("echo 'error: no luck' >&2; exit 2"), "it does not start: no luck"),
    "never_there": (SERVER, started("exec sleep 60"), "it does not start: it is not there after"),
    "banner": (SERVER, started('echo hello >&2; exec "$real" "$@" 2>&1'), "banner begins with `hello"),
    "banner_lacks": (SERVER, started('exec "$real" "$@" 2>&1'), "manifest names `hero_logic/span.sock`"),
    "undeclared": (SERVER, told_manifest("s/span.sock/spin.sock/"), "banner names `hero_logic/span.sock`"),
    "binds_more": (SERVER, told_manifest("s/span.sock/spin.sock/"), "it binds `hero_logic/span.sock`"),
    "not_bound": (SERVER, told_manifest("s/span.sock/spin.sock/"), "declared at `hero_logic/spin.sock`"),
    "protocol": (ADMIN, told_manifest("s,HTTP/1.1,HTTP/9,"), "nothing is known of the protocol `HTTP/9`"),
    "no_http": (ADMIN, started(f"{SEEMS_UP}; exec sleep 60"), "(HTTP/1.1): Connection refused"),
    "deaf": (ADMIN, started(f"{SEEMS_UP}; trap '' TERM; while :; do sleep 0.1; done"), "s after SIGTERM"),
    "ends_badly": (
        ADMIN,
        started('"$real" "$@" & trap "kill $!; exit 4" TERM; wait'),
        "it ends with exit status: 4 after SIGTERM",
    ),
    "leaves_socket": (
        SERVER,
        started(
            f'"$real" "$@" & trap "kill $!; wait $!;'
            f" '{sys.executable}' -c '{BIND}' $4/hero_logic/left.sock; exit 0\" TERM; wait"
        ),
        "it leaves `hero_logic/left.sock` behind",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FINDINGS)
def test_infocheck_reports(hero: Hero, name: str) -> None:
    program, wrapper, message = FINDINGS[name]
    installed = hero.home / "bin"
    installed.mkdir()
    for other in PROGRAMS:
        shutil.copy(SCRIPTS / other, installed / other)
    if wrapper is None:
        (installed / program).unlink()
    else:
        real = installed / f"real_{program}"
        (installed / program).rename(real)
        script = f'#!/bin/bash\nreal="{real}"\n{wrapper}\nexec "$real" "$@"\n'
        (installed / program).write_text(script)
        (installed / program).chmod(0o755)
    done = subprocess.run(
        [installed / "hero_logic", "infocheck"],
        env=hero.env | {"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    *lines, count = done.stdout.splitlines()
    assert done.returncode == 1 and count == f"{len(lines)} issue{'s' * (len(lines) != 1)}", done
    found = [line for line in lines if message in line]
    assert len(found) == 1 and found[0].startswith(f"{program}: ") and "; hint: " in found[0], done
    # Nothing that was started for the look is left.
    eventually(lambda: not running_below(installed), "everything to be gone")


def running_below(directory: Path) -> list[str]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            program = os.readlink(process / "exe")
        except OSError:
            continue
        if program.startswith(str(directory)):
            found.append(program)
    return found
