# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""A form with files as the body of a request (multipart), read from disk while it is sent."""

import uuid
from collections.abc import Sequence
from pathlib import Path

from photocast.client.captures import LocalFile

__all__ = ["form"]


def form(
    fields: dict[str, str], files: Sequence[LocalFile]
) -> tuple[dict[str, str], list[bytes | Path]]:
    """Headers and body of a form.

    Args:
        fields: Texts.
        files: Sent in the field of their role, under their name.
    """
    boundary = uuid.uuid4().hex
    body: list[bytes | Path] = []
    for name, value in fields.items():
        body += [_head(boundary, f'name="{name}"'), value.encode()]
    for file in files:
        about = f'name="{file.role}"; filename="{_quoted(file.name)}"'
        body += [_head(boundary, about), file.path]
    body.append(f"\r\n--{boundary}--\r\n".encode())
    return {"Content-Type": f"multipart/form-data; boundary={boundary}"}, body


def _quoted(name: str) -> str:
    """A name that cannot end its header, whatever is in it."""
    shown = name.replace("\\", "\\\\").replace('"', '\\"')
    return shown.replace("\r", "%0D").replace("\n", "%0A")


def _head(boundary: str, about: str) -> bytes:
    return f"\r\n--{boundary}\r\nContent-Disposition: form-data; {about}\r\n\r\n".encode()
