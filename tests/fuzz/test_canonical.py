"""The canonical form of random values, spelled in random ways, is to the byte what Python prints.

`HERO_TORTURE=1` takes a million values and not 100,000; `HERO_SEED=n` repeats the run that printed it.
"""

import json
import math
import random
import struct
from typing import Any

import pytest
from pyhero import _native

from faults.counts import SEED, faults

CHUNKS = 4
N_VALUES = faults(100_000, 1_000_000) // CHUNKS

EDGES = [
    0,
    1,
    -1,
    2**31,
    2**53,
    2**53 + 1,
    2**63 - 1,
    2**63,
    2**64 - 1,
    2**64,
    -(2**63),
    -(2**63) - 1,
    10**400,
]
FLOATS = [0.0, -0.0, 0.1, 0.1 + 0.2, 1e15, 1e16, 9999999999999998.0, 1e-4, 1e-5, 9.999e-5, 5e-324, 1.5e300]
FLOATS += [
    2.2250738585072014e-308,
    1.7976931348623157e308,
    2.0**53,
    1 / 3,
    1e21,
    1e22,
    1e23,
    123456789012345680.0,
]
CHARACTERS = ['"', "\\", "/", "\0", "\x1f", "\x7f", "\x80", "\n", "\t", "é", "e\u0301", "\u2028", "\ufeff"]
CHARACTERS += ["\ud7ff", "\ue000", "\uffff", "\U00010000", "😀", "\U0010ffff", "a", "B", "_", " "]
SHORT = {
    '"': '\\"',
    "\\": "\\\\",
    "/": "\\/",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
}
SPACES = ["", "", "", " ", "\n", "\t", "\r\n  "]


def value(chance: random.Random, depth: int = 0) -> Any:
    """Some JSON value."""
    match chance.randrange(10 if depth < 4 else 7):
        case 0:
            return chance.choice([None, True, False])
        case 1:
            return integer(chance)
        case 2 | 3:
            return number(chance)
        case 4 | 5 | 6:
            return text(chance)
        case 7 | 8:
            return {text(chance): value(chance, depth + 1) for _ in range(chance.randrange(5))}
        case _:
            return [value(chance, depth + 1) for _ in range(chance.randrange(5))]


def integer(chance: random.Random) -> int:
    if chance.random() < 0.3:
        return chance.choice(EDGES) + chance.randrange(-2, 3)
    return chance.randrange(-(10 ** chance.randrange(1, 40)), 10 ** chance.randrange(1, 40))


def number(chance: random.Random) -> float:
    """A finite float: any bits, few digits, or one of the edges."""
    kind = chance.random()
    if kind < 0.2:
        return chance.choice(FLOATS) * chance.choice([1, -1])
    if kind < 0.5:
        (found,) = struct.unpack("<d", chance.randbytes(8))
        return float(found) if math.isfinite(found) else 0.5
    if kind < 0.6:
        # Often two shortest spellings are as near.
        return math.ldexp(chance.randrange(2**52, 2**53), -chance.randrange(12))
    return round(chance.uniform(-1, 1) * 10.0 ** chance.randrange(-8, 20), chance.randrange(8))


def text(chance: random.Random) -> str:
    return "".join(character(chance) for _ in range(chance.randrange(6)))


def character(chance: random.Random) -> str:
    if chance.random() < 0.7:
        return chance.choice(CHARACTERS)
    code = chance.randrange(0x110000 - 0x800)
    return chr(code if code < 0xD800 else code + 0x800)


def spelled(given: Any, chance: random.Random) -> str:
    """One of the many spellings of a value."""
    space = chance.choice(SPACES)
    if isinstance(given, dict):
        members = [f"{spelled(key, chance)}{space}:{spelled(item, chance)}" for key, item in given.items()]
        chance.shuffle(members)
        return f"{space}{{{space}{','.join(members)}{space}}}"
    if isinstance(given, list):
        return f"[{space}{f'{space},'.join(spelled(item, chance) for item in given)}{space}]{space}"
    if isinstance(given, str):
        return f'{space}"{"".join(spelled_character(c, chance) for c in given)}"'
    if isinstance(given, float):
        return space + chance.choice(["{!r}", "{:.17g}", "{:.17e}", "{:.17E}", "{:.25e}"]).format(given)
    return space + json.dumps(given) + space


def spelled_character(c: str, chance: random.Random) -> str:
    if c in SHORT and chance.random() < 0.5:
        return SHORT[c]
    if c in '"\\' or c < " " or chance.random() < 0.2:
        escape = chance.choice(["\\u{:04x}", "\\u{:04X}"])
        units = c.encode("utf-16-be")
        return "".join(
            escape.format(high << 8 | low) for high, low in zip(units[::2], units[1::2], strict=True)
        )
    return c


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_the_canonical_form_is_what_python_prints(chunk: int) -> None:
    chance = random.Random(f"{SEED} canonical {chunk}")
    for _ in range(N_VALUES):
        made = value(chance)
        given = spelled(made, chance)
        # `{:.17g}` of a whole number has neither point nor exponent: it is an integer then.
        read = json.loads(given)
        expected = json.dumps(
            read, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
        )
        found = _native.canonical_json(given)
        assert found == expected, f"of {given!r}; again: HERO_SEED={SEED}"
        assert _native.canonical_json(found) == found
