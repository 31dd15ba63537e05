"""The rows of a benchmark in a CSV file that grows, so that a run can go on where it stopped."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from MedFusionLib.errors import FileError
from MedFusionLib.save import save_json, writing_beside

FIXED = ("group", "case", "patient", "method", "kind", "seconds", "note")

Row = Mapping[str, Any]


class Rows:
    """A CSV file and what it holds.

    Args:
        path: the file; what it holds already is read, a last line that was cut off is dropped.
        columns: of the scores.
        settings: what makes rows comparable; kept beside the file.

    Raises:
        FileError: if the folder holds rows of other settings.
    """

    def __init__(self, path: Path, columns: Sequence[str], settings: Mapping[str, Any]):
        self._path, self._names = path, [*FIXED, *columns]
        beside = path.with_suffix(".json")
        settings = json.loads(json.dumps(settings))
        if beside.is_file():
            before = json.loads(beside.read_text(encoding="utf-8"))
            changed = sorted(key for key in {*before, *settings} if before.get(key) != settings.get(key))
            if changed:
                raise FileError(
                    f"Output folder {path.parent}",
                    found="a benchmark with other " + ", ".join(changed),
                    accepted="an empty folder, or one of the same settings, which goes on",
                    fix="Choose another folder",
                )
        save_json(settings, beside)
        self.all: list[Row] = []
        self._known: set[tuple[str, ...]] = set()
        self._keep(_read(path))
        self._rewrite()

    def __contains__(self, key: tuple[str, str, str]) -> bool:
        """Whether there is a row of (group, case, method)."""
        return key in self._known

    def append(self, rows: Iterable[Row]) -> None:
        """Add rows, on disk too."""
        fresh = [{name: row.get(name, "") for name in self._names} for row in rows]
        with self._path.open("a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, self._names).writerows(fresh)
        self._keep(fresh)

    def _keep(self, rows: Iterable[Row]) -> None:
        for row in rows:
            self.all.append(row)
            self._known.add((row["group"], row["case"], row["method"]))

    def _rewrite(self) -> None:
        with writing_beside(self._path) as draft, draft.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, self._names, restval="", extrasaction="ignore")
            writer.writeheader()
            writer.writerows(self.all)


def _read(path: Path) -> list[Row]:
    """Whole rows only: a process that was killed may have left half of one."""
    if not path.is_file():
        return []
    text = path.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    return [row for row in csv.DictReader(whole.splitlines(keepends=True)) if None not in row.values()]
