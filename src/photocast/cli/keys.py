# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""``photocast keys``: who may use a service. These commands open its database, not its address."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from photocast.errors import UserError

if TYPE_CHECKING:
    from photocast.jobs.keyring import Key, Keyring

__all__ = ["keys"]

keys = typer.Typer(help="Make, list and revoke the keys of a service.", rich_markup_mode="markdown")

Data = Annotated[
    Path | None,
    typer.Option(
        help="Folder of the service, unless PHOTOCAST_DATABASE is set.",
        show_default="photocast-data",
    ),
]
_DAY_S = 86_400.0


@keys.command()
def add(
    owner: Annotated[str, typer.Option(help="Whose jobs are seen with it.")] = "local",
    name: Annotated[str, typer.Option(help="What it is for.")] = "",
    scope: Annotated[
        list[str] | None,
        typer.Option(
            help="What it allows; any number of them.", show_default="jobs:read and jobs:write"
        ),
    ] = None,
    days: Annotated[
        float | None, typer.Option(min=0, help="When it ends.", show_default="never")
    ] = None,
    data: Data = None,
    as_json: Annotated[bool, typer.Option("--json", help="Result as JSON on stdout.")] = False,
) -> None:
    """Make a key. It is shown once; only its hash is kept.

    Example: `photocast keys add --owner ada --days 90 > ada.key`
    """
    seconds = None if days is None else days * _DAY_S
    with _keyring(data) as keyring:
        scopes = tuple(scope or ("jobs:read", "jobs:write"))
        text, key = keyring.add(owner=owner, name=name, scopes=scopes, seconds=seconds)
    if as_json:
        typer.echo(json.dumps({"ok": True, "secret": text, "key": _shown(key)}))
        return
    typer.echo(f"{key.id} of {owner}, shown once:", err=True)
    typer.echo(text)


@keys.command("list")
def list_keys(
    data: Data = None,
    as_json: Annotated[bool, typer.Option("--json", help="Result as JSON on stdout.")] = False,
) -> None:
    """List all keys, oldest first.

    Example: `photocast keys list`
    """
    with _keyring(data) as keyring:
        found = keyring.all()
    if as_json:
        typer.echo(json.dumps({"ok": True, "keys": [_shown(key) for key in found]}))
        return
    for key in found:
        typer.echo("  ".join([key.id, key.owner, key.name or "-", ",".join(key.scopes), _end(key)]))
    if not found:
        typer.echo("There are no keys. Make one with: photocast keys add", err=True)


@keys.command()
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="KEY", help="Its name, such as key_01k9….")],
    data: Data = None,
) -> None:
    """End a key; a service that runs refuses it within seconds.

    Example: `photocast keys revoke key_01k9…`
    """
    with _keyring(data) as keyring:
        if not keyring.revoke(key_id):
            raise UserError(
                f"There is no key {key_id} that still holds. See: photocast keys list",
                code="key.unknown",
            )
    typer.echo(f"{key_id} is revoked.")


@contextmanager
def _keyring(data: Path | None) -> "Iterator[Keyring]":
    from photocast.jobs.database import open_database
    from photocast.jobs.keyring import Keyring
    from photocast.settings import load_settings

    database = open_database(load_settings(data=data).database_url)
    try:
        yield Keyring(database)
    finally:
        database.close()


def _shown(key: "Key") -> dict[str, object]:
    return {**asdict(key), "scopes": list(key.scopes)}


def _end(key: "Key") -> str:
    if key.revoked_at is not None:
        return f"revoked {_day(key.revoked_at)}"
    return "holds" if key.expires_at is None else f"holds until {_day(key.expires_at)}"


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M")
