"""Holds the rooms of ARCHITECTURE.md: which may depend on which, and what each must never touch."""

import ast
import json
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Which crate may depend on which. An arrow that is not used is fine: the table says what may be.
ARROWS = {
    "hero_schema": set(),
    "hero_core": {"hero_schema"},
    "hero_store": {"hero_schema"},
    "hero_outbound": set(),
    "hero_supervisor": {"hero_schema", "hero_core", "hero_store", "hero_outbound"},
    "hero_rpc": {"hero_schema"},
    "hero_logic_server": {"hero_schema", "hero_core", "hero_store", "hero_supervisor", "hero_rpc"},
    "hero_logic_admin": {"hero_schema", "hero_rpc"},
    # The server's library, for the embedded default.
    "hero_logic": {"hero_schema", "hero_rpc", "hero_logic_server"},
    # The core, because the in-process test runner answers pauses by the same prefill and schema rules.
    "pyhero": {"hero_schema", "hero_core", "hero_rpc"},
}

TOP_LEVEL = {
    *("Cargo.toml", "runtime", "pyhero", "schema", "examples", "tests", "README.md"),
    *("ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "Makefile"),
    *("Cargo.lock", "deny.toml", "ruff.toml", "rust-toolchain.toml", "rustfmt.toml"),
    *(".ci", ".editorconfig", ".gitignore"),
}

TOUCHES_THE_MACHINE = r"\btokio\b|std::fs|std::net|std::process|\bSystemTime\b|\bInstant::now\b"
STARTS_PROCESSES = r"\bCommand::new\b|\btokio::process\b|\bstd::process::Command\b"

# Files outside runtime/supervisor that may start processes, and why.
MAY_START_PROCESSES = {
    "runtime/cli/src/services.rs": "`--start` starts the server and the admin UI",
    "runtime/cli/src/trial.rs": "`infocheck` tries out the three programs",
}


def test_no_crate_depends_on_one_that_its_room_may_not_know():
    forbidden = [
        f"{crate} → {other}"
        for crate, others in arrows().items()
        for other in others - ARROWS.get(crate, set())
    ]
    assert not forbidden, "a new arrow belongs into the table above and into ARCHITECTURE.md, with its reason"


def test_the_table_knows_every_crate_of_the_workspace_and_no_other():
    assert set(arrows()) == set(ARROWS)


def test_the_page_on_architecture_shows_the_same_arrows():
    rows = re.findall(r"^\| `(\w+)` \| `[\w/]+` \|(.*)\|$", read("ARCHITECTURE.md"), re.MULTILINE)
    assert {crate: set(re.findall(r"`(\w+)`", others)) for crate, others in rows} == ARROWS


def test_the_page_on_architecture_names_the_room_of_every_crate():
    rows = dict(re.findall(r"^\| `(\w+)` \| `([\w/]+)` \|", read("ARCHITECTURE.md"), re.MULTILINE))
    assert rows == {package["name"]: room_of(package) for package in packages()}


def test_the_top_level_holds_the_rooms_and_the_usual_small_files_only():
    assert {path.split("/")[0] for path in kept_files()} <= TOP_LEVEL


@pytest.mark.parametrize("room", ["schema/src", "runtime/core/src"])
def test_the_data_and_the_decisions_touch_no_machine(room):
    assert not lines_that_match(TOUCHES_THE_MACHINE, room)


def test_only_the_supervisor_starts_processes():
    found = {path for path, _, _ in lines_that_match(STARTS_PROCESSES, "runtime") if "/src/" in path}
    elsewhere = {path for path in found if not path.startswith("runtime/supervisor/src/")}
    assert elsewhere <= set(MAY_START_PROCESSES)


def test_the_wire_knows_no_plays():
    assert not lines_that_match(r"\bhero_(core|store|supervisor)\b", "runtime/rpc/src")


def test_examples_use_public_names_of_pyhero_only():
    paths = [path for path in kept_files() if path.startswith("examples/") and path.endswith(".py")]
    assert paths, "there are no examples"
    assert not [f"{path}: {name}" for path in paths for name in private_names(read(path))]


@pytest.mark.parametrize(
    "source",
    [
        "import pyhero._child",
        "from pyhero._errors import FlowError",
        "from pyhero import _native",
        "import pyhero\npyhero._native.step_key",
        "import pyhero as hero\nhero._native",
        "from pyhero import flow\nflow._register",
    ],
)
def test_a_private_name_is_found_however_it_is_reached(source):
    assert private_names(source)


def test_names_of_others_and_dunders_are_no_private_names():
    source = "import pyhero\nfrom pyhero import flow\npyhero.__version__\nself._x\nimport _thread"
    assert not private_names(source)


def packages():
    """The crates of the workspace. Without dependencies, so that no registry is needed."""
    command = ["cargo", "metadata", "--format-version", "1", "--no-deps", "--locked", "--offline"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["packages"]


def arrows():
    """Crate → the crates of the workspace that it depends on, tests aside."""
    all_packages = packages()
    ours = {package["name"] for package in all_packages}
    return {
        package["name"]: {
            dependency["name"] for dependency in package["dependencies"] if dependency["kind"] != "dev"
        }
        & ours
        for package in all_packages
    }


def room_of(package):
    return Path(package["manifest_path"]).parent.relative_to(ROOT).as_posix()


def kept_files():
    """What is in the repository or would be added to it."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [path for path in done.stdout.splitlines() if (ROOT / path).exists()]


def read(path):
    return (ROOT / path).read_text(encoding="utf-8")


def lines_that_match(pattern, room):
    """(path, line number, line) of all code in the Rust sources of a room that matches."""
    paths = sorted((ROOT / room).rglob("*.rs"))
    assert paths, f"{room} holds no Rust"
    return [
        (path.relative_to(ROOT).as_posix(), number, line)
        for path in paths
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if re.search(pattern, line.split("//")[0])
    ]


def private_names(source):
    """The underscore names of pyhero that Python source mentions."""
    nodes = list(ast.walk(ast.parse(source)))
    known = set()
    found = []
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "pyhero":
                    known.add(alias.asname or "pyhero")
                    found += filter(is_private, alias.name.split("."))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "pyhero":
            known |= {alias.asname or alias.name for alias in node.names}
            found += filter(is_private, [*node.module.split("."), *(alias.name for alias in node.names)])
    for node in nodes:
        if isinstance(node, ast.Attribute) and is_private(node.attr) and root_of(node) in known:
            found.append(node.attr)
    return found


def root_of(node):
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None


def is_private(name):
    return name.startswith("_") and not name.startswith("__")
