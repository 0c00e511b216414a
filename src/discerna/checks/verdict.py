"""All findings together: a table for people, the same for programs, and whether the pictures are fit to train on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from discerna.checks.findings import Finding, Severity
from discerna.errors import InvalidDatasetError
from discerna.version import __version__
from discerna.wording import align, counted


@dataclass(frozen=True)
class Verdict:
    """What a check came to."""

    directories: dict[str, dict[str, Any]]
    """For each directory that was checked: pictures, labels, sizes, formats."""
    findings: Sequence[Finding]
    strict: bool

    def count(self, severity: Severity) -> int:
        """How many kinds of such findings there are."""
        return sum(finding.severity == severity for finding in self.findings)

    @property
    def ok(self) -> bool:
        """Whether nothing was found that fails the check."""
        return not self.count("error") and not (self.strict and self.count("warning"))

    def table(self) -> str:
        """For people."""
        heads = [
            [
                where,
                counted(facts["pictures"], "picture"),
                counted(len(facts["labels"]), "label") if facts["labels"] else "labels unknown",
                facts["sizes"],
                " ".join(f"{name} {count}" for name, count in facts["formats"].items()),
            ]
            for where, facts in self.directories.items()
        ]
        codes = max((len(finding.code) for finding in self.findings), default=0)
        counts = max((len(str(finding.count)) for finding in self.findings), default=0)
        told = []
        for finding in self.findings:
            first, *rest = finding.lines()
            head = f"{finding.severity:<9}{finding.code:<{codes}}  {finding.count:>{counts}}  "
            side = "" if len(self.directories) == 1 else f"  [{finding.where}]"
            indent = " " * len(head)
            told.append("\n".join([f"{head}{first}{side}", *(f"{indent}{line}" for line in rest)]))
        blocks = [align(heads), "\n".join(told), f"{'verdict':<9}{self.told()}"]
        return "\n\n".join(block for block in blocks if block)

    def told(self) -> str:
        """The verdict in a line."""
        found = Counter(finding.severity for finding in self.findings)
        kinds = [
            counted(found[severity], severity) for severity in ("error", "warning", "note") if found[severity]
        ]
        if not self.ok:
            return f"{', '.join(kinds)}: not fit to train on"
        labelled = all(facts["labels"] for facts in self.directories.values())
        fit = "fit to train on" if labelled else "fit to be scored, as labels are not known"
        return f"{', '.join(kinds) or 'nothing found'}: {fit}"

    def error(self) -> InvalidDatasetError:
        """What to raise where the check failed."""
        wrong = [finding for finding in self.findings if finding.severity == "error"]
        wrong = wrong or [finding for finding in self.findings if finding.severity == "warning"]
        return InvalidDatasetError(
            "the pictures did not pass the check",
            where=", ".join(dict.fromkeys(finding.where for finding in wrong)),
            accepted=", ".join(dict.fromkeys(finding.code for finding in wrong)),
            remedy="mend what the table names, or leave out strict=true"
            if self.strict
            else "mend what the table names",
        )

    def as_json(self) -> dict[str, Any]:
        """What check.json holds."""
        return {
            "discerna": __version__,
            "ok": self.ok,
            "strict": self.strict,
            "directories": self.directories,
            "findings": [finding.as_json() for finding in self.findings],
        }
