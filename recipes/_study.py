"""What the scripts of recorded studies share: the record, its card, and the command line.

A study is many trainings. Each training has a setting, a frozen dataclass whose first field,
`study`, names the part of the study to which it belongs. What comes out of it is a row: the
fields of the setting, then what was measured. The record of a study is a JSON file with a
card (who made it, how, and with which code) and the rows.
"""

import argparse
import datetime
import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

import dlip

ROOT = Path(__file__).parents[1]

Row = dict[str, Any]
Run = Callable[[Any], Row]


@dataclass(frozen=True)
class Study:
    """What a script says about its study.

    Attributes
    ----------
    name
        The record is `dlip/data/studies/NAME.json`.
    about, chapter, command
        What it is, which chapter shows it, and how to make it again; for the card.
    code
        The files that decide about the results, relative to the project's root.
    parts
        For each part of the study a function of the rows so far and of `run`, which makes
        one training. It returns its new rows.
    train
        Makes one training: the row of a setting.
    quick
        Returns the settings that a test repeats; a minute of computing together.
    tolerance
        By how much a measured value may differ when a training is repeated.
    """

    name: str
    about: str
    chapter: str
    command: str
    code: list[str]
    parts: dict[str, Callable[[list[Row], Run], list[Row]]]
    train: Run
    quick: Callable[[], list[Any]]
    tolerance: dict[str, float]

    @property
    def record(self) -> Path:
        """The file with the results."""
        return ROOT / "dlip" / "data" / "studies" / f"{self.name}.json"


def hashes(study: Study) -> dict[str, str]:
    """Return the SHA-256 of each file that decides about the results."""
    return {name: hashlib.sha256((ROOT / name).read_bytes()).hexdigest() for name in study.code}


def find(rows: list[Row], setting: Any) -> Row:
    """Return the row of a setting."""
    wanted = asdict(setting)
    return next(row for row in rows if all(row.get(key) == wanted[key] for key in wanted))


def differences(study: Study, rows: list[Row]) -> list[str]:
    """Repeat the quick trainings, and say what differs from the record by too much."""
    found = []
    for setting in study.quick():
        old, new = find(rows, setting), study.train(setting)
        for key, tolerance in study.tolerance.items():
            if key in new and abs(new[key] - old[key]) > tolerance:
                found.append(f"{setting}: {key} {new[key]}, recorded {old[key]}")
    return found


def write(path: Path, study: Study, card: Row, rows: list[Row]) -> None:
    """Write the record, one line for each training."""
    order = list(study.parts)
    lines = [json.dumps(row) for row in sorted(rows, key=lambda row: order.index(row["study"]))]
    text = json.dumps(card, indent=1, ensure_ascii=False)
    path.parent.mkdir(exist_ok=True)
    path.write_text(f'{{"card": {text},\n"runs": [\n' + ",\n".join(lines) + "\n]}\n", "utf-8")


def main(study: Study, description: str) -> None:
    """Run the parts that the command line names, or confirm the record."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(study.parts)}; default: all")
    parser.add_argument("--confirm", action="store_true", help="repeat some and compare")
    arguments = parser.parse_args()
    if unknown := set(arguments.parts) - set(study.parts):
        parser.error(f"unknown: {', '.join(unknown)}; there are {', '.join(study.parts)}")
    torch.set_num_threads(1)
    record: Row = {"card": {}, "runs": []}
    if study.record.exists():
        record = json.loads(study.record.read_text("utf-8"))
    card, rows = record["card"], record["runs"]

    if arguments.confirm:
        if found := differences(study, rows):
            raise SystemExit("\n".join(["the record does not hold:", *found]))
        write(study.record, study, card | {"code": hashes(study)}, rows)
        return

    def told(setting: Any) -> Row:
        row = study.train(setting)
        values = (f"{key}={value}" for key, value in row.items() if not isinstance(value, list))
        print(*values, flush=True)
        return row

    minutes = card.get("minutes", {})
    for part in arguments.parts or study.parts:
        rows = [row for row in rows if row["study"] != part]
        new = study.parts[part](rows, told)
        rows += new
        minutes[part] = round(sum(row["seconds"] for row in new) / 60, 1)
        report = dlip.env.report()
        card = {
            "about": study.about,
            "command": study.command,
            "chapter": study.chapter,
            "licence": "CC BY 4.0",
            "date": datetime.date.today().isoformat(),
            "machine": f"{report.cpu}, one core, no GPU",
            "versions": {"python": report.python, "torch": version("torch")},
            "minutes": {name: minutes[name] for name in study.parts if name in minutes},
            "tolerance": study.tolerance,
            "code": hashes(study),
        }
        write(study.record, study, card, rows)
