"""What a check can find: each kind with its weight and its remedy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from discerna.wording import shown

Severity = Literal["error", "warning", "note"]

EXAMPLES = 5
"""So many examples of a finding are shown; check.json has them all."""


@dataclass(frozen=True)
class Kind:
    """One kind of finding."""

    code: str
    severity: Severity
    text: str
    """What stands behind the count."""
    remedy: str
    """What to do; empty where nothing need be done."""


KINDS = {
    kind.code: kind
    for kind in (
        Kind("layout", "error", "not readable as labelled pictures", ""),
        Kind(
            "labels_missing",
            "error",
            "labels of training that validation lacks",
            "put pictures of them into validation, or take them out of training",
        ),
        Kind(
            "labels_extra",
            "error",
            "labels of validation that training lacks",
            "rename or remove them: a model cannot know them",
        ),
        Kind(
            "empty_label", "error", "label folders without a picture", "put pictures into them or remove them"
        ),
        Kind(
            "nested",
            "error",
            "folders with pictures inside label folders",
            "move the pictures up into the label",
        ),
        Kind("one_label", "error", "only one label", "at least two are needed"),
        Kind("empty", "error", "files without a byte", "copy them again or remove them"),
        Kind("not_an_image", "error", "named like a picture, but none", "remove them"),
        Kind("truncated", "error", "cut short or damaged", "copy them again or remove them"),
        Kind("unsupported_mode", "error", "pixels of a kind that is not read", "save them with 8 bits"),
        Kind(
            "missing_extra",
            "error",
            "HEIC, which is not installed here",
            "pip install 'discerna[heif]', or save them as JPEG",
        ),
        Kind("too_large", "error", "too large to be decoded", "make them smaller"),
        Kind("unreadable", "error", "not readable", "check their permissions and the disk"),
        Kind("missing", "error", "listed, but not there", "add them or remove their lines"),
        Kind("remote", "error", "listed, but not on this machine", "download them first"),
        Kind(
            "leak",
            "error",
            "in training and in validation, byte for byte",
            "keep them on one side: a model has learned them by heart",
        ),
        Kind(
            "two_labels",
            "error",
            "under two labels, byte for byte",
            "keep each under the label that is right",
        ),
        Kind(
            "few_pictures",
            "warning",
            "labels with few pictures",
            "collect more: such a label is hard to learn",
        ),
        Kind(
            "imbalance",
            "warning",
            "labels far smaller than the largest",
            "collect more of them, or try sampler=balanced or label_weights=sqrt",
        ),
        Kind(
            "similar_labels",
            "warning",
            "labels that differ only in case or encoding",
            "merge them if they are one",
        ),
        Kind("duplicates", "warning", "copies under the same label, byte for byte", "keep one of each"),
        Kind(
            "near_leak",
            "warning",
            "look the same in training and in validation",
            "keep them on one side if they are the same picture",
        ),
        Kind(
            "near_two_labels",
            "warning",
            "look the same under two labels",
            "keep each under the label that is right",
        ),
        Kind("near_duplicates", "warning", "look the same", "keep one of each if they are the same picture"),
        Kind(
            "wrong_extension",
            "warning",
            "named like another format",
            "rename them; read they are by their content",
        ),
        Kind("animated", "warning", "several frames or pages", "save the one that counts; the first is used"),
        Kind("tiny", "warning", "a side below 16 pixels", "remove them if there is nothing to see"),
        Kind(
            "huge", "warning", "more than 50 megapixels", "make them smaller: they are decoded in each epoch"
        ),
        Kind(
            "long",
            "warning",
            "more than 5 times as long as wide",
            "train with fit=pad, so that the ends are seen",
        ),
        Kind("no_label", "warning", "outside the label folders, not used", "move them into one, or away"),
        Kind("not_used", "warning", "not used, by their endings", "convert them if they are pictures"),
        Kind("not_a_file", "warning", "pipes, devices or links to folders", "put the files themselves there"),
        Kind("broken_link", "warning", "links that lead nowhere", "mend or remove them"),
        Kind("link_loop", "warning", "links back into a folder above them", "remove them"),
        Kind(
            "bad_name",
            "warning",
            "names that are no valid Unicode",
            "rename them: other programs may not open them",
        ),
        Kind("unlabelled", "note", "no labels are known, which only scoring does without", ""),
        Kind("modes", "note", "of another kind of pixels than most; all become RGB", ""),
        Kind("turned", "note", "turned by their EXIF orientation; they are used upright", ""),
        Kind("hidden", "note", "hidden and system files, ignored", ""),
    )
}
"""In the order in which they are told."""


OF_FILES = frozenset(
    {
        "empty",
        "not_an_image",
        "truncated",
        "unsupported_mode",
        "missing_extra",
        "too_large",
        "unreadable",
    }
    | {"missing", "remote"}
)
"""Errors of single files, which a training can leave out."""


@dataclass(frozen=True)
class Finding:
    """One kind of finding in one directory, or between two."""

    code: str
    where: str
    """The setting that names the directory; `train_data, valid_data` for what is between them."""
    count: int
    examples: Sequence[str]
    detail: str = ""
    """More than the kind's own text can say."""

    @property
    def kind(self) -> Kind:
        """Weight, text and remedy."""
        return KINDS[self.code]

    @property
    def severity(self) -> Severity:
        """How much it weighs."""
        return self.kind.severity

    def as_json(self) -> dict[str, Any]:
        """What check.json holds."""
        return {
            "code": self.code,
            "severity": self.severity,
            "where": self.where,
            "count": self.count,
            "text": self.text(),
            "remedy": self.kind.remedy,
            "examples": [shown(example) for example in self.examples],
        }

    def text(self) -> str:
        """What is found, in a line."""
        return f"{self.kind.text}{f' {self.detail}' if self.detail else ''}"

    def lines(self) -> list[str]:
        """What is found, examples, and what to do."""
        first = ", ".join(shown(example) for example in self.examples[:EXAMPLES])
        more = f", … ({self.count} in all)" if self.count > EXAMPLES else ""
        examples = [f"{first}{more}"] if first else []
        remedy = [f"-> {self.kind.remedy}"] if self.kind.remedy else []
        return [self.text(), *examples, *remedy]


def in_order(findings: Sequence[Finding]) -> list[Finding]:
    """Errors first, then warnings, then notes."""
    order = list(KINDS)
    return sorted(findings, key=lambda finding: (order.index(finding.code), finding.where))
