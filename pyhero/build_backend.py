"""Builds the wheel: the native programs first, then the package around them (PEP 517).

Cargo builds everything into the target directory of the workspace, so what is there already is not built
again. The programs go into the wheel as scripts, which `pip` puts on the PATH of the environment.

The profile is `release` unless the environment variable HERO_BUILD_PROFILE or the config setting `profile`
names another one: `HERO_BUILD_PROFILE=dev pip install ./pyhero`.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path

import maturin
from maturin import (
    get_requires_for_build_editable,
    get_requires_for_build_sdist,
    get_requires_for_build_wheel,
)

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
]

HERE = Path(__file__).resolve().parent
SCRIPTS = HERE / "pyhero.data" / "scripts"
PROGRAMS = ("hero_logic", "hero_logic_server", "hero_logic_admin")

build_sdist = maturin.build_sdist


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    """The wheel with the programs in it."""
    with _programs(config_settings):
        return maturin.build_wheel(wheel_directory, _for_maturin(config_settings), metadata_directory)


def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    """The same for `pip install -e`."""
    with _programs(config_settings):
        return maturin.build_editable(wheel_directory, _for_maturin(config_settings), metadata_directory)


def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    """The metadata alone; nothing is built."""
    # maturin wants the folder of the programs to be there even now.
    SCRIPTS.mkdir(parents=True, exist_ok=True)
    return maturin.prepare_metadata_for_build_wheel(metadata_directory, _for_maturin(config_settings))


prepare_metadata_for_build_editable = prepare_metadata_for_build_wheel


def _profile(config_settings):
    return (config_settings or {}).get("profile") or os.environ.get("HERO_BUILD_PROFILE") or "release"


def _for_maturin(config_settings):
    """The settings without ours, and with what makes maturin build the same profile."""
    settings = {name: value for name, value in (config_settings or {}).items() if name != "profile"}
    arguments = settings.get("build-args", os.environ.get("MATURIN_PEP517_ARGS", ""))
    return {**settings, "build-args": f"{arguments} --profile {_profile(config_settings)}".strip()}


@contextmanager
def _programs(config_settings):
    """Builds the programs and lays them beside the package. One build at a time: another one would replace
    them while this one packs them."""
    SCRIPTS.mkdir(parents=True, exist_ok=True)
    directory = os.open(SCRIPTS, os.O_RDONLY)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        built = _build(_profile(config_settings))
        for program in PROGRAMS:
            shutil.copy2(built / program, SCRIPTS / program)
        yield
    finally:
        os.close(directory)


def _build(profile):
    """Builds the programs and returns the directory that holds them."""
    packages = [argument for program in PROGRAMS for argument in ("-p", program)]
    _cargo("build", "--locked", "--profile", profile, *packages)
    metadata = json.loads(_cargo("metadata", "--locked", "--no-deps", "--format-version", "1"))
    return Path(metadata["target_directory"]) / ("debug" if profile == "dev" else profile)


def _cargo(*arguments):
    return subprocess.run(["cargo", *arguments], cwd=HERE.parent, check=True, stdout=subprocess.PIPE).stdout
