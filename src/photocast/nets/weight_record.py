# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""The record of fetched files: what each should hash to, kept beside the weights."""

import hashlib
import json
from pathlib import Path
from typing import Any

from photocast.errors import WeightsError
from photocast.progress import Progress, silent

__all__ = ["RECORD", "check_hashes", "git_blob_hash", "read_record", "sha256_of", "write_record"]

RECORD = "weights.json"
_CHUNK = 1 << 22


def sha256_of(path: Path) -> str:
    """Hash of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def git_blob_hash(path: Path) -> str:
    """Name that Git gives the file's content, by which the hub knows its small files."""
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def read_record(root: Path) -> dict[str, dict[str, Any]]:
    """Files by path inside the folder; empty where nothing was recorded."""
    path = root / RECORD
    if not path.is_file():
        return {}
    try:
        files: dict[str, dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["files"]
    except (ValueError, KeyError, TypeError) as error:
        raise WeightsError(
            f"{path} is damaged: {error}. Remove it and fetch again.", code="weights.damaged"
        ) from error
    return files


def write_record(root: Path, files: dict[str, dict[str, Any]]) -> None:
    """Replace the record in one step."""
    new = root / f"{RECORD}.new"
    new.write_text(json.dumps({"files": files}, indent=2, sort_keys=True), encoding="utf-8")
    new.replace(root / RECORD)


def check_hashes(root: Path, progress: Progress = silent) -> list[str]:
    """Hash every recorded file again.

    Returns:
        The files that were checked.

    Raises:
        WeightsError: A file is absent or has changed.
    """
    record = read_record(root)
    for number, (name, facts) in enumerate(sorted(record.items())):
        path = root / name
        if not path.is_file():
            raise WeightsError(
                f"{path} was fetched and is missing now. "
                "Fetch it again: photocast weights fetch generate",
                code="weights.missing_file",
            )
        if (found := sha256_of(path)) != facts["sha256"]:
            raise WeightsError(
                f"{path} has changed: its SHA-256 is {found[:16]}... and should be "
                f"{facts['sha256'][:16]}.... Remove it and fetch it again.",
                code="weights.hash",
            )
        progress("verify", number + 1, len(record))
    return sorted(record)
