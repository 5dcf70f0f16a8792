# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Multipart forms as they arrive: files go to disk piece by piece, small fields are remembered."""

from email.message import Message

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.concurrency import run_in_threadpool

from photocast.jobs.names import SUFFIXES, safe_name
from photocast.service.incoming import Incoming, pour
from photocast.service.problems import ServiceError
from photocast.wire import ProblemItem

__all__ = ["checked_name", "read_form"]

_MOST_FIELDS = 16
_MOST_FIELD_BYTES = 2 << 20
_BOUNDARY_BYTES = 70  # RFC 2046


async def read_form(
    request: Request, incoming: Incoming, roles: tuple[str, ...], fields: tuple[str, ...]
) -> dict[str, str]:
    """Read a form to its end.

    Args:
        request: Whose body is a form.
        incoming: Gets the files.
        roles: Names of file fields.
        fields: Names of other fields.

    Returns:
        The other fields.

    Raises:
        ServiceError: The form is damaged, too large, or has something that it must not have.
    """
    kind, options = parse_options_header(request.headers.get("content-type"))
    boundary = options.get(b"boundary", b"")
    if kind != b"multipart/form-data" or not 0 < len(boundary) <= _BOUNDARY_BYTES:
        raise ServiceError(
            415, "request.media_type", "The body must be multipart/form-data, with a boundary."
        )
    form = _Form(incoming, roles, fields)
    parser = MultipartParser(
        boundary,
        {
            "on_part_begin": form.begin,
            "on_header_field": form.header_name,
            "on_header_value": form.header_value,
            "on_header_end": form.header_end,
            "on_headers_finished": form.headers_end,
            "on_part_data": form.data,
            "on_part_end": form.end,
            "on_end": form.all_end,
        },
    )
    try:
        await pour(request, parser.write)
        await run_in_threadpool(parser.finalize)
    except FormParserError as error:
        raise ServiceError(400, "request.malformed", f"The form is damaged: {error}.") from None
    if not form.complete:
        raise ServiceError(400, "request.malformed", "The form ends in the middle.")
    return form.found


def checked_name(role: str, name: str) -> str:
    """A file's name in its canonical form.

    Raises:
        ServiceError: It is unsafe, or of a kind that the role has no use for.
    """
    try:
        name = safe_name(name)
    except ValueError as error:
        shown = ascii(name)[1:-1][:80]
        raise _refused(
            422, role, shown, f"The name {shown!r} {error}.", code="upload.name"
        ) from None
    suffix = f".{name.rpartition('.')[2].lower()}" if "." in name else "no suffix"
    if suffix not in SUFFIXES[role]:
        known = ", ".join(sorted(SUFFIXES[role]))
        text = f"{name} has {suffix}; files of {role} end in {known}."
        raise _refused(415, role, name, text, code="upload.unsupported")
    return name


def _refused(status: int, role: str, name: str, detail: str, *, code: str) -> ServiceError:
    item = ProblemItem(pointer=f"/{role}", code=code, detail=detail, name=name)
    return ServiceError(status, code, detail, errors=[item])


class _Form:
    """What a parser tells, one part after the other."""

    def __init__(self, incoming: Incoming, roles: tuple[str, ...], fields: tuple[str, ...]) -> None:
        self._incoming, self._roles, self._fields = incoming, roles, fields
        self._names: set[tuple[str, str]] = set()
        self._header, self._value = b"", b""
        self._disposition = ""
        self._field: tuple[str, bytearray] | None = None
        self.found: dict[str, str] = {}
        self.complete = False

    def begin(self) -> None:
        self._disposition, self._field = "", None

    def header_name(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = self._value.decode("utf-8", "replace")
        self._header, self._value = b"", b""

    def headers_end(self) -> None:
        _, options = parse_options_header(self._disposition.encode())
        name = options.get(b"name", b"").decode("utf-8", "replace")
        if b"filename" in options or b"filename*" in options:
            return self._begin_file(name, _filename(self._disposition, options))
        if name not in self._fields or name in self.found or len(self.found) >= _MOST_FIELDS:
            raise _unknown(name, (*self._fields, *self._roles))
        self._field = (name, bytearray())

    def _begin_file(self, role: str, name: str) -> None:
        settings = self._incoming.settings
        if role not in self._roles:
            raise _unknown(role, (*self._fields, *self._roles))
        name = checked_name(role, name)
        if (role, name) in self._names:
            text = f"{name} comes twice among the {role}."
            raise _refused(422, role, name, text, code="upload.duplicate")
        self._names.add((role, name))
        if sum(one.role == role for one in self._incoming.files) >= most_files(
            settings.max_photos, role
        ):
            raise too_many(role, most_files(settings.max_photos, role))
        self._incoming.begin(role, name)

    def data(self, data: bytes, start: int, end: int) -> None:
        if self._field is None:
            self._incoming.write(data[start:end])
            return
        self._field[1].extend(data[start:end])
        if len(self._field[1]) > _MOST_FIELD_BYTES:
            raise ServiceError(
                413,
                "request.too_large",
                f"The field {self._field[0]} has more than {_MOST_FIELD_BYTES:,} bytes.",
            )

    def end(self) -> None:
        if self._field is None:
            self._incoming.end()
        else:
            self.found[self._field[0]] = self._field[1].decode("utf-8", "replace")

    def all_end(self) -> None:
        self.complete = True


def most_files(max_photos: int, role: str) -> int:
    """How many files of a role a job may have; a capture folder has several for each photo."""
    return {"capture": 4 * max_photos + 16, "archive": 1, "mesh": 1}.get(role, max_photos)


def too_many(role: str, most: int) -> ServiceError:
    """The refusal of more files than there may be."""
    return ServiceError(
        413, "upload.too_many", f"There are more than {most} {role}.", hint="Leave some out."
    )


def _unknown(name: str, known: tuple[str, ...]) -> ServiceError:
    shown = ascii(name)[1:-1][:80]
    return ServiceError(
        422,
        "request.field",
        f"The form has a field {shown!r} that is unknown or comes twice; known are "
        f"{', '.join(known)}. Files need a filename, other fields must have none.",
    )


def _filename(header: str, options: dict[bytes, bytes]) -> str:
    """The name as it was sent; the form parser would cut some of them."""
    parsed = Message()
    parsed["content-disposition"] = header
    return parsed.get_filename() or options.get(b"filename", b"").decode("utf-8", "replace")
