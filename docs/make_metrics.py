"""Write docs/metrics.md from the registry and the reference values: `python docs/make_metrics.py`."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from MedFusionLib.registry import Metric, find_metric, list_metrics  # noqa: E402
from MedFusionLib.scoring import COMPAT, PANEL  # noqa: E402
from Testing.reference.values import CANONICAL, canonical, difference, synthetic, tensors  # noqa: E402

PAGE = ROOT / "docs" / "metrics.md"
HEAD = ROOT / "docs" / "metrics_head.md"

_STEPS = (1e-9, 1e-6, 1e-5)


def page() -> str:
    """The whole page."""
    parts = [HEAD.read_text(encoding="utf-8"), "\n## All metrics\n", table(), "\n## Agreement with reference values\n"]
    return "\n".join([*parts, agreement(), *(section(metric) for metric in list_metrics().values())])


def table() -> str:
    """One line a metric."""
    lines = [
        "| name | title | better | range | identical | flat result | improved by | loss | panel |",
        "|---" * 9 + "|",
    ]
    for metric in list_metrics().values():
        low, high = ("" if end is None else f"{end:g}" for end in metric.range)
        cells = (
            f"[`{metric.name}`](#{metric.name})",
            metric.title,
            metric.direction,
            f"{low}..{high}",
            _shown(metric.identical),
            _shown(metric.flat),
            ", ".join(metric.gamed_by),
            "yes" if metric.differentiable else "",
            next((entry for entry in PANEL if entry.partition(":")[0] == metric.name), ""),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def agreement() -> str:
    """Largest relative difference of each metric to its stored values, on the synthetic triplets."""
    lines = [
        "Largest relative difference over the synthetic triplets of `Testing/reference/images.py`, in steps. Tests",
        "hold every metric to its tolerance there and on ten real CT-MRI triplets (`pytest Testing/reference`).",
        "",
        "| metric | triplets | difference | tolerance |",
        "|---|---|---|---|",
    ]
    for name in CANONICAL:
        values = canonical(name)
        cases = {case: images for case, images in synthetic().items() if case in values}
        worst = max(
            difference(float(find_metric(name)(*tensors(images))), values[case]) for case, images in cases.items()
        )
        step = next(step for step in _STEPS if worst <= step)
        lines.append(f"| `{name}` | {len(cases)} | <= {step:.0e} | {find_metric(name).tolerance:g} |")
    return "\n".join(lines) + "\n"


def section(metric: Metric) -> str:
    """One metric: its sentence, facts and variants."""
    facts = [
        f"family {metric.family}",
        "2-D and 3-D" if len(metric.dims) == 2 else "2-D; volumes slice by slice",
        f"one value a source, pooled by {metric.pool}" if metric.pool else "one value for all sources",
        f"unit {metric.unit}" if metric.unit else "no unit",
        metric.reference,
    ]
    facts += [f"undefined (NaN) if {metric.undefined}"] if metric.undefined else []
    text = f"\n### {metric.name}\n\n{metric.summary}\n\n{'; '.join(facts)}.\n"
    columns = [
        f"`{column}` of {name}" for name, c in COMPAT.items() for column, each in c.items() if each[0] == metric.name
    ]
    text += f"\nPublished convention: {', '.join(columns)}.\n" if columns else ""
    for parameter in metric.parameters.values():
        text += f"\n- `{parameter.name}` = {parameter.default} ({parameter.accepted}): {parameter.help}\n"
    return text


def _shown(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:g}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
