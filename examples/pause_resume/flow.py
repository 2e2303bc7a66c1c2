"""Pays an expense once a person has approved it. Nothing runs while the person thinks."""

from pathlib import Path

from pyhero import ask_user, flow


@flow
def look_up_budget(team: str) -> int:
    """Runs before the pause. After the pause its result is remembered; the body is not entered again."""
    flow.log(f"asking the books for the budget of {team}")
    return {"design": 500, "research": 2_000}.get(team, 100)


@flow
def pay(amount: int, to: str) -> str:
    """Runs after the pause, and once: the receipt file stands for the side effect."""
    receipt = Path(f"receipt_{to}.txt")
    receipt.write_text(f"paid {amount} to {to}\n")
    return str(receipt)


@flow
def pause_resume(to: str = "ada", amount: int = 320, team: str = "design") -> str:
    """Looks at the budget, asks a person, and pays."""
    budget = look_up_budget(team)
    if not ask_user.confirm("approve", f"Pay {amount} to {to}? The budget of {team} is {budget}."):
        return f"{to} gets nothing"
    return f"{to} got {amount}, see {pay(amount, to)}"
