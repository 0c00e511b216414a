"""Fetching files of weights, from torch's cache where they lie there; failure is told within seconds."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import logging
import os
import queue
import re
import secrets
import threading
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import torch

from discerna.directories.model_files import file_digest
from discerna.errors import DownloadError
from discerna.progress import Progress
from discerna.wording import shown

LOG = logging.getLogger("discerna")

PROBE_SECONDS = 8.0
"""A name server that does not answer would hold up urllib, whatever its timeout, for a minute and more."""

READ_SECONDS = 60.0

_BLOCK = 1 << 20


def cached_or_downloaded(url: str, progress: Progress, seconds: float | None = None) -> Path:
    """The file of that address, in the cache that torch.hub uses too; `seconds` as of `probe`."""
    target = Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]
    if target.is_file():
        if has_named_hash(target.name, file_digest(target)):
            return target
        LOG.warning("%s is damaged and is downloaded again", target)
    probe(url, seconds)
    LOG.info("downloading %s to %s", target.name, target.parent)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _download(url, target, progress)
    except (OSError, http.client.HTTPException) as error:
        if isinstance(error, HTTPError):
            error.close()
        raise failed(url, error) from error
    return target


def has_named_hash(name: str, digest: str) -> bool:
    """Whether the SHA-256 begins with the digits in the file's name."""
    digits = named_hash(name)
    return bool(digits) and digest.startswith(digits)


def named_hash(name: str) -> str:
    """The digits of a SHA-256 in the name of a file of torchvision's or timm's; empty where there are none."""
    digits = re.search(r"-([0-9a-f]{8,})\.", name)
    return digits[1] if digits else ""


def probe(url: str, seconds: float | None = None, *, told: str = "") -> None:
    """Raise a DownloadError of `told`, or of the url, where the server cannot be reached within the time."""
    wait = PROBE_SECONDS if seconds is None else seconds
    answer: queue.SimpleQueue[Exception | None] = queue.SimpleQueue()

    def ask() -> None:
        try:
            urlopen(Request(url, method="HEAD"), timeout=wait).close()
        except HTTPError as error:  # the server, or a proxy on the way, is there; some refuse HEAD
            error.close()
            answer.put(None)
        except Exception as error:
            answer.put(error)
        else:
            answer.put(None)

    threading.Thread(target=ask, name="discerna-probe", daemon=True).start()
    try:
        error = answer.get(timeout=wait)
    except queue.Empty:
        error = TimeoutError(f"no answer within {wait:g} seconds")
    if error is not None:
        raise failed(told or url, error) from error


def _download(url: str, target: Path, progress: Progress) -> None:
    """Fetch the file under another name, compare its hash, then give it its name in one step."""
    part = target.with_name(f".{target.name}.{os.getpid()}-{secrets.token_hex(4)}")
    digest = hashlib.sha256()
    try:
        with urlopen(url, timeout=READ_SECONDS) as response, part.open("wb") as stream:
            total = int(response.headers.get("Content-Length") or 0)
            with progress.task(f"downloading {target.name}", total) as advance:
                while block := response.read(_BLOCK):
                    stream.write(block)
                    digest.update(block)
                    advance(len(block), "")
            if total and stream.tell() != total:
                raise OSError(f"{stream.tell()} of {total} bytes came")
        if not has_named_hash(target.name, digest.hexdigest()):
            raise OSError("what came has another SHA-256 than the file's name tells")
        part.replace(target)
    finally:
        with contextlib.suppress(OSError):
            part.unlink()


def failed(url: str, error: Exception) -> DownloadError:
    """The error for a file that could not be fetched."""
    reason = getattr(error, "reason", None) or str(error) or type(error).__name__
    name = url.rpartition("/")[2]
    return DownloadError(
        "pretrained weights cannot be downloaded",
        where=url,
        accepted=shown(" ".join(str(reason).split())),
        remedy=f"download {name} on another machine and pass pretrained=PATH/{name}, or pretrained=false",
    )
