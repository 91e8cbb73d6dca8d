"""Words that messages, tables and pages share."""


def plural(n: int, noun: str, many: str | None = None) -> str:
    """Return "1 task" or "2 tasks", "1 class" or "2,000 classes". many: the plural, unless an s makes it."""
    return f"{n} {noun}" if n == 1 else f"{n:,} {many or noun + 's'}"


def one_line(error: object) -> str:
    """Return an error's message on one line; its type where it has none."""
    return " ".join(str(error).split()) or type(error).__name__
