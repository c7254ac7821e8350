"""Which languages can be run here."""


def why_not(language: str) -> str | None:
    return None if language == "python" else f"programs in {language} cannot be run yet"
