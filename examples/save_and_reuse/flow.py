"""A report that is planned once, accepted, and then written again and again by the same plan.

`plan` stands for a model that is asked how to go about it: it costs money, and it may answer otherwise
tomorrow. Its output is frozen into the workflow that is saved from an accepted play.
"""

from pyhero import ask_user, flow


@flow(plan=True)
def plan(topic: str, depth: int) -> list[str]:
    """Thinks up the chapters. A real one would ask a model here."""
    flow.annotate(cost_usd=0.03, input_tokens=400 * depth, output_tokens=90 * depth)
    questions = ["Where do they come from?", "What do they need?", "What do they cost?", "Who sells them?"]
    return questions[:depth]


@flow
def write(topic: str, chapter: str) -> str:
    """Writes one chapter."""
    return f"{chapter} About {topic}, nobody knows for certain."


@flow
def save_and_reuse(topic: str = "houseplants", title: str = "Houseplants at a glance", depth: int = 2) -> str:
    """Plans a report, has the plan accepted, and writes it."""
    chapters = plan(topic, depth)
    if not ask_user.confirm("accept", f"Write {len(chapters)} chapters: {' '.join(chapters)}"):
        return "not accepted"
    return "\n".join([title, *flow.map(lambda chapter: write(topic, chapter), chapters)])
