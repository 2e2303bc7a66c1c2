"""Which words does a text use most? Three steps in a row, and nothing to wait for."""

from collections import Counter

from pyhero import flow

PROVERB = "a stitch in time saves nine and a penny saved is a penny earned"


@flow
def split_words(text: str) -> list[str]:
    """A step: it runs once, and its result is remembered."""
    return text.lower().split()


@flow
def count_words(words: list[str]) -> dict[str, int]:
    """Another step. It starts when the result of the first one is safely on disk."""
    return dict(Counter(words))


@flow
def top_words(counts: dict[str, int], n: int) -> list[str]:
    """Puts frequent words first, and words that are equally frequent in the order of the alphabet."""
    return sorted(counts, key=lambda word: (-counts[word], word))[:n]


@flow
def simple_play(text: str = PROVERB, n: int = 3) -> dict[str, int]:
    """The root flow: ordinary Python that calls the steps and returns the result."""
    words = split_words(text)
    flow.log(f"{len(words)} words")
    counts = count_words(words)
    return {word: counts[word] for word in top_words(counts, n)}
