"""Plans a team lunch: five questions, one of each kind, and a step between them.

Each answer ends one launch of the process and begins the next. What was answered before is replayed,
so the fifth launch walks past four answers and the step without asking or doing anything again.
"""

from pyhero import ask_user, flow

PLACES = {"noodle bar": 12, "pizzeria": 15, "canteen": 8}
DIETS = ["vegetarian", "vegan", "gluten-free", "halal"]


@flow
def find_places(guests: int, budget: float) -> list[str]:
    """The places where the budget feeds everyone."""
    return [place for place, price in PLACES.items() if price * guests <= budget]


@flow
def multi_pause() -> str:
    """Asks, looks for places, asks on, and writes the invitation."""
    occasion = ask_user.text("occasion", "What do you celebrate?")
    guests = ask_user.number("guests", "How many of you are coming?", integer=True, min=1)
    budget = ask_user.number("budget", "What may it cost altogether?", min=0)
    places = find_places(guests, budget)
    if not places:
        return f"{budget} does not feed {guests}; cook something together"
    place = ask_user.choice("place", "Where do you want to eat?", options=places)
    diets = ask_user.multi_choice("diets", "What must the kitchen know?", options=DIETS)
    if not ask_user.confirm("send", f"Invite {guests} people to the {place}?"):
        return "nobody was invited"
    kitchen = f" Please cook {', '.join(diets)}." if diets else ""
    return f"{occasion}: lunch for {guests} at the {place}.{kitchen}"
