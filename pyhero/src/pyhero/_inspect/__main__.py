"""Prints `{"bundle": …, "signature": …}`, with `--sources` `{"sources": {name: [hash, …]}}`, with `--check`
`{"findings": […]}`, and exits 0; or `{"error": {"message", "hint"}}` and exits 2."""

from __future__ import annotations

import json
import sys

from .bundle import read_bundle
from .problem import Problem
from .roots import choose_root
from .signature import signature_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def inspect(path: str, flow: str | None) -> dict[str, Any]:
    """The bundle of a file and the signature of its root flow. Raises `Problem`."""
    bundle = read_bundle(path)
    root = choose_root(bundle, path, flow)
    files = {module.path: module.source for module in bundle.modules}
    return {
        "bundle": {"entry": bundle.entry.path, "flow": root.name, "files": files},
        "signature": signature_of(root, bundle),
    }


def _finding(arguments: list[str]) -> dict[str, Any]:
    if arguments[0] == "--sources":
        from .sources import sources_of

        return {"sources": sources_of(arguments[-1])}
    if arguments[0] == "--check":
        from .check import check

        return {"findings": check(arguments[1], arguments[2] if len(arguments) == 3 else None)}
    return inspect(arguments[0], arguments[1] if len(arguments) == 2 else None)


def main(arguments: list[str]) -> int:
    """Inspects the file that is named and prints the finding."""
    if not 1 <= len(arguments) <= 3:
        print(
            "usage: python -m pyhero._inspect FILE [FLOW] | --sources FILE | --check FILE [FLOW]",
            file=sys.stderr,
        )
        return 2
    try:
        finding, code = _finding(arguments), 0
    except Problem as problem:
        finding, code = {"error": {"message": problem.message, "hint": problem.hint}}, 2
    print(json.dumps(finding))
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
