# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Download weights: only when asked, only into the folder named, every file against a hash.

The hub tells the hash of each file of a revision before the download: SHA-256 of large files, Git's
name of small ones. What was fetched is recorded for ``photocast weights verify``.
"""

import json
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any
from urllib.parse import quote

from photocast.errors import WeightsError
from photocast.nets.weight_convert import convert_pickle
from photocast.nets.weight_record import git_blob_hash, read_record, sha256_of, write_record
from photocast.nets.weight_sources import Repository, SingleFile
from photocast.progress import Progress, silent

__all__ = ["HUB", "fetch_weights"]

HUB = "https://huggingface.co"
_TIMEOUT_S = 60
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class _Listed:
    """A file as the hub announces it."""

    name: str
    size_bytes: int
    sha256: str | None
    blob: str | None


def fetch_weights(
    sources: Iterable[Repository | SingleFile],
    root: Path,
    *,
    hub: str = HUB,
    progress: Progress = silent,
) -> None:
    """Download what is not there yet.

    Args:
        sources: What to fetch; the caller has asked the user.
        root: Folder of weights; made if it is not there.
        hub: Address of the hub.
        progress: Told in MiB; may cancel, which keeps whole files only.

    Raises:
        WeightsError: A download fails, or a file is not what was announced.
    """
    root.mkdir(parents=True, exist_ok=True)
    for source in sources:
        if isinstance(source, Repository):
            _fetch_repository(source, root, hub, progress)
        else:
            _fetch_single(source, root, progress)


def _fetch_repository(source: Repository, root: Path, hub: str, progress: Progress) -> None:
    revision = quote(source.revision, safe="")
    listing = _listing(f"{hub}/api/models/{source.name}/revision/{revision}?blobs=true")
    commit = listing["sha"]
    for listed in _wanted(listing, source):
        target = root / source.folder / listed.name
        url = f"{hub}/{source.name}/resolve/{commit}/{quote(listed.name)}"
        if not (target.is_file() and _as_announced(target, listed)):
            _download(url, target, listed, progress)
        facts = {"source": source.name, "revision": commit, "licence": source.licence}
        _note(root, target, facts)


def _fetch_single(source: SingleFile, root: Path, progress: Progress) -> None:
    target = root / source.folder / source.converted
    if target.is_file() and str(target.relative_to(root)) in read_record(root):
        return
    name = source.url.rpartition("/")[2]
    raw = target.parent / name
    _download(source.url, raw, _Listed(name, source.size_bytes, None, None), progress)
    facts = {"source": source.url, "source_sha256": sha256_of(raw), "licence": source.licence}
    convert_pickle(raw, target)
    raw.unlink()
    _note(root, target, facts)


def _listing(url: str) -> dict[str, Any]:
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as answer:
            listing: dict[str, Any] = json.load(answer)
    except (urllib.error.URLError, TimeoutError, ValueError) as error:
        raise _failed(url, error) from error
    if not isinstance(listing.get("sha"), str) or not isinstance(listing.get("siblings"), list):
        raise WeightsError(f"{url} did not answer with a list of files.", code="weights.download")
    return listing


def _wanted(listing: dict[str, Any], source: Repository) -> list[_Listed]:
    """Files that the patterns name; their names stay inside the folder."""
    files = []
    for entry in listing["siblings"]:
        name = entry["rfilename"]
        if ".." in Path(name).parts or not any(_fits(name, p) for p in source.patterns):
            continue
        large = entry.get("lfs") or {}
        size = large.get("size", entry.get("size", -1))
        files.append(_Listed(name, size, large.get("sha256"), entry.get("blobId")))
    if not files:
        raise WeightsError(
            f"{source.name} holds none of {', '.join(source.patterns)}.", code="weights.download"
        )
    return files


def _fits(name: str, pattern: str) -> bool:
    parts, wanted = name.split("/"), pattern.split("/")
    return len(parts) == len(wanted) and all(map(fnmatchcase, parts, wanted))


def _download(url: str, target: Path, listed: _Listed, progress: Progress) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(target.parent).free
    if listed.size_bytes > free:
        raise WeightsError(
            f"{listed.name} takes {listed.size_bytes / 1e9:.1f} GB and {target.parent} has "
            f"{free / 1e9:.1f} GB free. Make room, or choose another --folder.",
            code="weights.space",
        )
    partial = target.with_name(f"{target.name}.part")
    total, done = max(1, listed.size_bytes >> 20), 0
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as answer, partial.open("wb") as file:
            while chunk := answer.read(_CHUNK):
                file.write(chunk)
                done += len(chunk)
                if done > listed.size_bytes:
                    break
                progress(f"fetch {listed.name}", min(done >> 20, total), total)
        if not _as_announced(partial, listed):
            raise WeightsError(
                f"{url} is not what was announced: {done} of {listed.size_bytes} bytes, or "
                "another hash. Nothing was kept. Try again later.",
                code="weights.hash",
            )
        partial.replace(target)
        progress(f"fetch {listed.name}", total, total)
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        raise _failed(url, error) from error
    finally:
        partial.unlink(missing_ok=True)


def _as_announced(path: Path, listed: _Listed) -> bool:
    if path.stat().st_size != listed.size_bytes:
        return False
    if listed.sha256 is not None:
        return sha256_of(path) == listed.sha256
    return listed.blob is None or git_blob_hash(path) == listed.blob


def _note(root: Path, target: Path, facts: dict[str, Any]) -> None:
    record = read_record(root)
    name = target.relative_to(root).as_posix()
    record[name] = {**facts, "sha256": sha256_of(target), "size_bytes": target.stat().st_size}
    write_record(root, record)


def _failed(url: str, error: Exception) -> WeightsError:
    return WeightsError(
        f"{url} cannot be downloaded: {error}. Check the connection, or bring the files on "
        "another way; docs/generate.md shows the folder.",
        code="weights.download",
    )
