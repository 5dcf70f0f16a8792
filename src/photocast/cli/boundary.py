# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Where errors become one sentence and an exit code.

0 done, 1 a failure of ours or the machine's, 2 the command is wrong, 3 the input cannot be used,
130 cancelled. With ``--json`` the error is the JSON on stdout, otherwise a line on stderr.
"""

import json
from collections.abc import Sequence

import typer

from photocast.cli.app import app
from photocast.errors import Cancelled, PhotocastError, UserError

__all__ = ["run"]

_ENGINE_PACKAGES = ("torch", "warp", "scipy", "PIL", "cv2", "fast_simplification")
_SERVICE_PACKAGES = ("fastapi", "uvicorn", "sqlalchemy", "pydantic_settings", "python_multipart")

# Typer brings its own copy of click in newer versions, so ask Typer which classes it raises.
_UsageError: type[Exception] = typer.BadParameter.__mro__[1]


def run(arguments: Sequence[str]) -> int:
    """Run one command.

    Args:
        arguments: As on the command line, without the program.

    Returns:
        The exit code.
    """
    try:
        code = app(args=list(arguments) or ["--help"], prog_name="photocast", standalone_mode=False)
    except (KeyboardInterrupt, typer.Abort):
        error: PhotocastError = Cancelled()
    except PhotocastError as raised:
        error = raised
    except _UsageError as raised:
        error = _usage(raised)
    except ModuleNotFoundError as raised:
        error = _missing(raised)
    except OSError as raised:
        error = _system(raised)
    else:
        return code if isinstance(code, int) else 0
    _tell(error, as_json="--json" in arguments)
    return error.exit_code


def _tell(error: PhotocastError, *, as_json: bool) -> None:
    if as_json:
        body = {"code": error.code, "message": str(error), "exit_code": error.exit_code}
        typer.echo(json.dumps({"ok": False, "error": body}))
    else:
        typer.echo(f"error: {error}  [{error.code}]", err=True)


def _usage(raised: Exception) -> UserError:
    message = raised.format_message()  # type: ignore[attr-defined]
    context = getattr(raised, "ctx", None)
    path = context.command_path if context else "photocast"
    return UserError(f"{message} Try: {path} --help", code="usage")


def _missing(raised: ModuleNotFoundError) -> UserError:
    package = (raised.name or "").partition(".")[0]
    needs = f"This command needs {package}, which is not installed. Install it with: pip install"
    if package in _ENGINE_PACKAGES:
        return UserError(f"{needs} 'photocast[engine]'", code="install.engine")
    if package in _SERVICE_PACKAGES:
        return UserError(f"{needs} 'photocast[service]'", code="install.service")
    raise raised


def _system(raised: OSError) -> PhotocastError:
    where = f"{raised.filename}: " if raised.filename else ""
    return PhotocastError(
        f"{where}{raised.strerror or raised}. Check free space and permissions.", code="system.io"
    )
