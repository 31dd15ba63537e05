"""Write docs/methods.md from the registry: `python docs/make_methods.py`."""

from __future__ import annotations

from pathlib import Path

from MedFusionLib.registry import Method, list_methods

PAGE = Path(__file__).with_name("methods.md")


def page() -> str:
    """The whole page."""
    head = "# Fusion methods\n\nMade from the registry by `python docs/make_methods.py`.\n"
    return head + "".join(section(method) for method in list_methods().values())


def section(method: Method) -> str:
    """One method: its sentence, facts and parameters."""
    low, high = method.sources
    facts = [
        f"family {method.family}",
        "2-D and 3-D" if len(method.dims) == 2 else f"{method.dims[0]}-D",
        f"{low} or more volumes" if high is None else f"{low} to {high} volumes",
        method.reference,
    ]
    text = f"\n## `{method.name}`: {method.title}\n\n{method.summary}\n\n{'; '.join(facts)}.\n"
    if method.parameters:
        text += "\n| parameter | default | accepted | meaning |\n|---|---|---|---|\n"
    for parameter in method.parameters.values():
        text += f"| `{parameter.name}` | {parameter.default} | {parameter.accepted} | {parameter.help} |\n"
    return text


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
