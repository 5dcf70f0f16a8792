# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""NOT the real library: it stands in for nvidia-ml-py where a test has no GPU.

It has the few functions that Photocast calls, under the real module's name, and is put before it on
PYTHONPATH of a process. What it tells is in the JSON file that FAKE_NVML names: a list of cards
with ``uuid``, ``name``, ``total``, ``free``, and ``job``: the bytes that each process of a job has.
"""

import json
import os
from pathlib import Path
from types import SimpleNamespace


class NVMLError(Exception):
    """As in the real library."""


def _cards():
    return json.loads(Path(os.environ["FAKE_NVML"]).read_text(encoding="utf-8"))


def nvmlInit():
    if not _cards():
        raise NVMLError("no driver")


def nvmlDeviceGetCount():
    return len(_cards())


def nvmlDeviceGetHandleByIndex(index):
    if index >= len(_cards()):
        raise NVMLError("invalid argument")
    return index


def nvmlDeviceGetHandleByUUID(uuid):
    for index, card in enumerate(_cards()):
        if card["uuid"] == uuid:
            return index
    raise NVMLError("not found")


def nvmlDeviceGetMemoryInfo(handle):
    card = _cards()[handle]
    if card.get("lost"):
        raise NVMLError("GPU is lost")
    return SimpleNamespace(total=card["total"], free=card["free"])


def nvmlDeviceGetName(handle):
    return _cards()[handle]["name"]


def nvmlDeviceGetUUID(handle):
    return _cards()[handle]["uuid"]


def nvmlDeviceGetComputeRunningProcesses(handle):
    used = _cards()[handle].get("job", 0)
    found = [SimpleNamespace(pid=1 << 22, usedGpuMemory=10**12)]  # of another host
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"photocast.worker.child" in words:
            found.append(SimpleNamespace(pid=int(entry.name), usedGpuMemory=used))
    return found
