"""Makes up flow programs. The same seed gives the same source text.

Each program is a file with a root flow `root(x: int)`. What it returns depends on nothing but its input and
the answers of its pauses, so that plain Python, which remembers nothing, can say what must come out.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from dataclasses import dataclass, field

# Bodies of steps call `effect()`: one line for each time that the world would notice.
PREAMBLE = """
import asyncio
import contextvars
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pyhero import NotInFlowError, flow

ANSWERS = {answers}


def in_play():
    try:
        flow.current()
    except NotInFlowError:
        return False
    return True


def write(line):
    with open("effects.txt", "a") as effects:
        effects.write(line + "\\n")


def effect():
    if not in_play():
        return
    dies_before, dies_behind = deaths()
    if dies_before:
        os.kill(os.getpid(), signal.SIGKILL)
    write(f"{{flow.idempotency_key()}} {{flow.current().launch}}")
    if dies_behind:
        os.kill(os.getpid(), signal.SIGKILL)


def deaths():
    if not Path("deaths.txt").exists():
        return False, False
    n_effects = len(Path("effects.txt").read_text().splitlines())
    for death in Path("deaths.txt").read_text().splitlines():
        moment, at = death.split()
        done = Path(f"died_{{moment}}_{{at}}")
        if int(at) <= n_effects and not done.exists():
            done.touch()
            return moment == "before", moment == "behind"
    return False, False


def ask(name):
    return flow.pause(name, schema=int) if in_play() else ANSWERS[name.partition("[")[0]]


def number(outcome):
    return outcome if isinstance(outcome, int) else len(str(outcome))


def in_threads(pool, step, values):
    return [pool.submit(contextvars.copy_context().run, step, value) for value in values]
"""

COST_MAX = 36
"""How many outcomes and answers a program may come to, at the most."""


@dataclass(frozen=True)
class Program:
    """A made-up program.

    Attributes:
        prefill: An answer for each pause that it may come to.
        is_concurrent: Whether calls may overlap, so that the order of effects is open.
    """

    seed: str
    source: str
    prefill: dict[str, int]
    x: int
    is_concurrent: bool


@dataclass(frozen=True)
class Callee:
    """A flow that may be called: how dear it is, counted in outcomes, and what to expect of it."""

    name: str
    cost: int
    is_async: bool = False
    may_fail: bool = False
    most: int = 100
    """The greatest argument that it is to be called with."""


@dataclass
class Body:
    """The lines of a function as they are made up, and what they cost so far."""

    is_async: bool
    budget: int
    lines: list[str] = field(default_factory=list)
    depth: int = 1
    times: int = 1
    cost: int = 0
    may_fail: bool = False
    loops: list[str] = field(default_factory=list)

    def add(self, line: str) -> None:
        self.lines.append("    " * self.depth + line)

    def affords(self, cost: int) -> bool:
        return self.cost + self.times * cost <= self.budget

    def pays(self, callee: Callee, n: int = 1) -> None:
        self.cost += self.times * callee.cost * n


class Generator:
    """Makes up one program."""

    def __init__(self, seed: str) -> None:
        self.seed = seed
        self.chance = random.Random(seed)
        self.callees: list[Callee] = []
        self.functions: list[str] = []
        self.answers: dict[str, int] = {}
        self.is_concurrent = False
        self.is_async = self.chance.random() < 0.4

    def program(self) -> Program:
        for _ in range(self.chance.randint(2, 4)):
            self.leaf()
        if self.chance.random() < 0.5:
            self.recursive()
        for n in range(self.chance.randint(0, 3)):
            self.composite(f"part{n}", is_async=self.chance.random() < 0.4, budget=COST_MAX // 3)
        self.root()
        source = PREAMBLE.format(answers=self.answers) + "".join(f"\n\n{text}\n" for text in self.functions)
        return Program(self.seed, source, dict(self.answers), self.chance.randrange(20), self.is_concurrent)

    # --- Functions ----------------------------------------------------------------------------

    def leaf(self) -> None:
        """A step with one effect; it may ask before, or fail after it."""
        name = f"leaf{len(self.callees)}"
        is_async, asks = self.chance.random() < 0.35, self.chance.random() < 0.2
        fails_at = self.chance.choice([None, None, 2, 3, 5])
        a, b = self.chance.randint(1, 9), self.chance.randrange(50)
        lines = [f"{'async ' if is_async else ''}def {name}(x: int) -> int:"]
        if asks:
            lines.append(f'    x += ask("{self.pause()}")')
        if is_async:
            lines.append("    await asyncio.sleep(0)")
        lines.append("    effect()")
        if fails_at:
            lines += [f"    if x % {fails_at} == 0:", f'        raise ValueError(f"{name} takes no {{x}}")']
        lines.append(f"    return (x * {a} + {b}) % 101")
        self.define(lines)
        self.callees.append(Callee(name, 2 if asks else 1, is_async, may_fail=fails_at is not None))

    def recursive(self) -> None:
        """A step that calls itself."""
        leaf = self.pick(lambda callee: not callee.is_async and not callee.may_fail)
        if leaf is None:
            return
        lines = ["def falls(x: int) -> int:", f"    t = {leaf.name}(x)"]
        lines += ["    if x > 0:", "        t += falls(x - 1)", "    return t % 101"]
        self.define(lines)
        self.callees.append(Callee("falls", 3 * (leaf.cost + 1), most=2))

    def composite(self, name: str, *, is_async: bool, budget: int) -> None:
        """A step that calls others."""
        body = self.body(is_async, budget, self.chance.randint(1, 4))
        head = f"{'async ' if is_async else ''}def {name}(x: int) -> int:"
        self.define([head, "    t = x", *body.lines, "    return t % 101"])
        self.callees.append(Callee(name, body.cost + 1, is_async, body.may_fail))

    def root(self) -> None:
        is_async = self.is_async
        body = self.body(is_async, COST_MAX, self.chance.randint(3, 8))
        lines = [f"{'async ' if is_async else ''}def root(x: int) -> object:", "    if in_play():"]
        lines += ['        write("begins")', "    t = x", "    try:"]
        lines += [f"    {line}" for line in body.lines or ["    t += 1"]]
        lines += [
            "    except ValueError as error:",
            '        return f"failed with {t}: {error}"',
            "    return t",
        ]
        self.define(lines)

    def define(self, lines: list[str]) -> None:
        self.functions.append("\n".join(["@flow", *lines]))

    # --- Statements ---------------------------------------------------------------------------

    def body(self, is_async: bool, budget: int, n_statements: int) -> Body:
        body = Body(is_async, budget)
        for _ in range(n_statements):
            self.statement(body)
        return body

    def statement(self, body: Body) -> None:
        choices: list[tuple[int, Callable[[Body], None]]] = [
            (6, self.call),
            (3, self.equal_calls),
            (2, self.asks),
            (2, self.recorded),
            (2, self.invoke),
            (2, self.threads),
        ]
        # Where an event loop runs, it is to be awaited, and sync code of such a program could not.
        if body.is_async or not self.is_async:
            choices.append((3, self.fan_out))
        if body.depth < 4:
            choices += [(3, self.loop), (2, self.poll), (3, self.handled), (2, self.branch), (1, self.block)]
        if body.is_async:
            choices += [(5, self.gather), (2, self.to_thread), (2, self.task)]
            if sys.version_info >= (3, 11):
                choices.append((3, self.task_group))
        weights = [weight for weight, _ in choices]
        self.chance.choices([choice for _, choice in choices], weights)[0](body)

    def call(self, body: Body) -> None:
        if callee := self.callable_in(body):
            body.pays(callee)
            body.add(f"t += {self.called(callee, self.argument(body, callee))}")

    def equal_calls(self, body: Body) -> None:
        if (callee := self.callable_in(body)) and body.affords(2 * callee.cost):
            body.pays(callee, 2)
            call = self.called(callee, str(self.chance.randint(0, callee.most)))
            body.add(f"t += {call}")
            body.add(f"t = 3 * t + {call}")

    def asks(self, body: Body) -> None:
        if body.affords(1):
            body.cost += body.times
            body.add(f't += ask("{self.pause()}")')

    def recorded(self, body: Body) -> None:
        if body.affords(2):
            body.cost += 2 * body.times
            body.add(
                self.chance.choice(
                    ["t += flow.now() <= flow.now()", "t += flow.random() != flow.random()"],
                )
            )

    def invoke(self, body: Body) -> None:
        callee = self.callable_in(body)
        if callee is None:
            return
        body.pays(callee)
        wait = "await " if callee.is_async else ""
        body.add(f"t += {wait}flow.invoke({callee.name}, x={self.argument(body, callee)})")

    def threads(self, body: Body) -> None:
        callee = self.pick(lambda callee: not callee.is_async and body.affords(3 * callee.cost))
        if callee is None:
            return
        self.is_concurrent = True
        body.pays(callee, 3)
        body.may_fail |= callee.may_fail
        values = [self.argument(body, callee) for _ in range(3)]
        body.add(f"with ThreadPoolExecutor({self.chance.randint(1, 3)}) as pool:")
        body.add(f"    results = in_threads(pool, {callee.name}, [{', '.join(values)}])")
        body.add("t = sum((result.result() for result in results), t)")

    def fan_out(self, body: Body) -> None:
        callee = self.pick(lambda callee: callee.is_async == body.is_async and body.affords(3 * callee.cost))
        if callee is None:
            return
        self.is_concurrent = True
        body.pays(callee, 3)
        body.may_fail |= callee.may_fail
        values = [self.argument(body, callee) for _ in range(3)]
        limit = self.chance.choice(["", ", limit=1", ", limit=2"])
        wait = "await " if body.is_async else ""
        if self.chance.random() < 0.5:
            body.add(f"t = sum({wait}flow.map({callee.name}, [{', '.join(values)}]{limit}), t)")
        else:
            thunks = ", ".join(f"lambda: {callee.name}({value})" for value in values)
            body.add(f"t = sum({wait}flow.parallel({thunks}{limit}), t)")

    def loop(self, body: Body) -> None:
        n = self.chance.randint(2, 4)
        if not body.affords(n):
            return
        variable = f"i{len(body.loops)}"
        body.add(f"for {variable} in range({n}):")
        self.nested(body, times=n, variable=variable)

    def poll(self, body: Body) -> None:
        """A loop that goes on for as long as a step says so."""
        callee = self.pick(lambda callee: not callee.is_async and not callee.may_fail)
        if callee is None or not body.affords(5 * callee.cost):
            return
        body.pays(callee, 5)
        body.add("n = 0")
        body.add(f"while {callee.name}(n % {callee.most + 1}) % 3 and n < 4:")
        body.add("    n += 1")
        body.add("t += n")

    def handled(self, body: Body) -> None:
        may_fail = body.may_fail
        body.add("try:")
        failing = self.pick(lambda callee: callee.may_fail and body.affords(callee.cost))
        if failing and (body.is_async or not failing.is_async):
            body.pays(failing)
            body.add(f"    t += {self.called(failing, self.argument(body, failing))}")
        self.nested(body)
        body.add("except ValueError as error:")
        body.add("    t += len(str(error))")
        body.may_fail = may_fail
        if self.chance.random() < 0.5:
            self.nested(body)
        if self.chance.random() < 0.5:
            body.add("finally:")
            body.add("    t += 1")

    def branch(self, body: Body) -> None:
        body.add(f"if t % {self.chance.randint(2, 3)}:")
        self.nested(body)
        body.add("else:")
        self.nested(body)

    def block(self, body: Body) -> None:
        body.add('with flow.step("block"):')
        self.nested(body)

    def gather(self, body: Body) -> None:
        calls = self.some_async(body)
        if calls:
            body.add(f"outcomes = await asyncio.gather({', '.join(calls)}, return_exceptions=True)")
            body.add("t += sum(map(number, outcomes))")

    def task_group(self, body: Body) -> None:
        calls = self.some_async(body, lambda callee: not callee.may_fail)
        if calls:
            body.add("async with asyncio.TaskGroup() as group:")
            body.add(f"    tasks = [group.create_task(call) for call in [{', '.join(calls)}]]")
            body.add("t += sum(task.result() for task in tasks)")

    def task(self, body: Body) -> None:
        """A task that runs while something else is called."""
        calls = self.some_async(body, lambda callee: not callee.may_fail, n=1)
        if calls:
            body.add(f"task = asyncio.create_task({calls[0]})")
            self.call_that_cannot_fail(body)
            body.add("t += await task")

    def to_thread(self, body: Body) -> None:
        callee = self.pick(lambda callee: not callee.is_async and body.affords(callee.cost))
        if callee:
            body.pays(callee)
            body.may_fail |= callee.may_fail
            body.add(f"t += await asyncio.to_thread({callee.name}, {self.argument(body, callee)})")

    def call_that_cannot_fail(self, body: Body) -> None:
        callee = self.pick(lambda callee: not callee.may_fail and body.affords(callee.cost))
        if callee:
            body.pays(callee)
            body.add(f"t += {self.called(callee, self.argument(body, callee))}")

    def nested(self, body: Body, times: int = 1, variable: str | None = None) -> None:
        body.depth += 1
        body.times *= times
        if variable:
            body.loops.append(variable)
        n_lines = len(body.lines)
        for _ in range(self.chance.randint(1, 2)):
            self.statement(body)
        if len(body.lines) == n_lines:
            body.add("t += 1")
        if variable:
            body.loops.pop()
        body.times //= times
        body.depth -= 1

    # --- Parts of statements ------------------------------------------------------------------

    def some_async(
        self, body: Body, fits: Callable[[Callee], bool] = lambda _: True, n: int | None = None
    ) -> list[str]:
        calls = []
        for _ in range(n or self.chance.randint(2, 3)):
            callee = self.pick(lambda callee: callee.is_async and fits(callee) and body.affords(callee.cost))
            if callee:
                body.pays(callee)
                calls.append(f"{callee.name}({self.argument(body, callee)})")
        self.is_concurrent |= bool(calls)
        return calls

    def callable_in(self, body: Body) -> Callee | None:
        callee = self.pick(
            lambda callee: (body.is_async or not callee.is_async) and body.affords(callee.cost)
        )
        body.may_fail |= callee is not None and callee.may_fail
        return callee

    def pick(self, fits: Callable[[Callee], bool]) -> Callee | None:
        fitting = [callee for callee in self.callees if fits(callee)]
        return self.chance.choice(fitting) if fitting else None

    def called(self, callee: Callee, argument: str) -> str:
        by = self.chance.choice(["", "x="])
        return f"{'await ' if callee.is_async else ''}{callee.name}({by}{argument})"

    def argument(self, body: Body, callee: Callee) -> str:
        base = self.chance.choice(["t", "x", str(self.chance.randrange(30)), *body.loops])
        return f"({base} + {self.chance.randrange(7)}) % {min(callee.most + 1, self.chance.choice([5, 101]))}"

    def pause(self) -> str:
        name = f"q{self.chance.randrange(6)}"
        self.answers.setdefault(name, self.chance.randrange(30))
        return name


def program(seed: str) -> Program:
    """The program of this seed."""
    return Generator(seed).program()


if __name__ == "__main__":
    made = program(sys.argv[1])
    print(f"# x={made.x} prefill={made.prefill} concurrent={made.is_concurrent}", made.source)
