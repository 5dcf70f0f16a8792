# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Write ``docs/settings.md``, and tables in ``docs/commands.md`` and ``docs/service.md``.

    python docs/make_settings.py

The sentence under a field in ``src/photocast/config`` is its line in the page. The pages are
committed; a test compares.
"""

import ast
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from photocast.config import MAX_SIZES, PRESETS, optimize_preset
from photocast.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
CONFIG = [
    ROOT / "src" / "photocast" / "config" / f"_{name}.py"
    for name in ("sample", "shape", "surface", "engines", "run")
]
PAGE = ROOT / "docs" / "settings.md"
COMMANDS = ROOT / "docs" / "commands.md"
SERVICE = ROOT / "docs" / "service.md"
SERVICE_SETTINGS = ROOT / "src" / "photocast" / "settings.py"

_INTRO = """\
# Settings

Made by `python docs/make_settings.py` from `src/photocast/config`; change the sentences there.

Every stage has one frozen dataclass. On the command line, `photocast reconstruct` sets those of
`ReconstructConfig` and `photocast sample` those of `SampleConfig`; the others follow the
[preset](commands.md#presets). A value outside its limits is refused with the code `config.invalid`.
`run.json` in a result folder holds every value that was used.
"""


def page() -> str:
    """The whole page as Markdown."""
    return "\n".join([_INTRO, *(line for node in classes().values() for line in _section(node))])


def classes() -> dict[str, ast.ClassDef]:
    """Every class of settings by name, as it stands in the source."""
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in CONFIG]
    nodes = [node for tree in trees for node in tree.body]
    return {node.name: node for node in nodes if isinstance(node, ast.ClassDef)}


def commands_page() -> str:
    """``docs/commands.md`` with the present table of presets."""
    before, start, rest = COMMANDS.read_text(encoding="utf-8").partition("\n## Presets\n")
    assert start, "docs/commands.md has no section '## Presets'"
    after = rest[rest.index("\n## ") :]
    return before + start + "\n".join(["", *_presets()]) + after


def service_page() -> str:
    """``docs/service.md`` with the present table of settings."""
    before, start, rest = SERVICE.read_text(encoding="utf-8").partition("\n## Settings\n")
    assert start, "docs/service.md has no section '## Settings'"
    intro = rest.partition("\n| ")[0].rstrip()
    return before + start + "\n".join([intro, "", *_service_settings(), ""])


def _service_settings() -> Iterator[str]:
    tree = ast.parse(SERVICE_SETTINGS.read_text(encoding="utf-8"))
    node = next(n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == "Settings")
    yield "| variable | default | meaning |"
    yield "| --- | --- | --- |"
    known = Settings()
    for field, sentence in fields(node):
        name = ast.unparse(field.target)
        if name != "model_config":
            assert sentence, f"{name} has no sentence"
            default = getattr(known, name)
            shown = "unset" if default in (None, "", ()) else f"`{default}`"
            meaning = " ".join(sentence.split()).replace("``", "`")
            yield f"| `PHOTOCAST_{name.upper()}` | {shown} | {meaning} |"


def _presets() -> Iterator[str]:
    """A table of the settings that presets do not share."""
    known = classes()
    columns = [(name, device) for name in PRESETS for device in ("cpu", "cuda")]
    found = {
        (name, device): {
            "max_size": MAX_SIZES[name],
            **dict(_flat(asdict(replace(optimize_preset(name, device=device), device="")))),
        }
        for name, device in columns
    }
    # a preset that is the same on both devices has one column
    columns = [c for c in columns if c[1] == "cpu" or found[c] != found[c[0], "cpu"]]
    split = {name for name, device in columns if device == "cuda"}
    titles = [
        f"`{name}`" + (f" on {device.upper()}" if name in split else "") for name, device in columns
    ]
    flat = [found[column] for column in columns]
    yield "What `--preset` sets; everything else is as in [settings.md](settings.md). This table is"
    yield "made by `python docs/make_settings.py`.\n"
    yield f"| setting | {' | '.join(titles)} | meaning |"
    yield f"| --- |{' --- |' * len(titles)} --- |"
    for key in flat[0]:
        values = [settings[key] for settings in flat]
        if len({repr(value) for value in values}) > 1:
            cells = " | ".join(f"`{value!r}`" for value in values)
            yield f"| `{key}` | {cells} | {_meaning(known, key)} |"
    yield ""


def _meaning(classes: dict[str, ast.ClassDef], key: str) -> str:
    """The sentence under a setting that is named by its path from the engine's settings."""
    *path, name = key.split(".")
    holder = "OptimizeConfig" if path else "ReconstructConfig"
    for step in path:
        kinds = {
            ast.unparse(f.target): ast.unparse(f.annotation) for f, _ in fields(classes[holder])
        }
        holder = kinds[step]
    return next(
        " ".join(sentence.split())
        for field, sentence in fields(classes[holder])
        if ast.unparse(field.target) == name
    )


def _flat(values: dict[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", value


def _section(node: ast.ClassDef) -> Iterator[str]:
    yield f"## {node.name}\n"
    yield f"{ast.get_docstring(node)}\n".replace("``", "`")
    yield "| setting | type | default | meaning |"
    yield "| --- | --- | --- | --- |"
    for field, sentence in fields(node):
        assert field.value is not None, "every setting has a default"
        kind = ast.unparse(field.annotation)
        default = f"`{ast.unparse(field.value)}`"
        if "default_factory" in default:
            default = f"see {kind}"
        meaning = " ".join(sentence.split())
        cells = (f"`{ast.unparse(field.target)}`", f"`{kind}`".replace("|", "or"), default, meaning)
        yield f"| {' | '.join(cells)} |"
    yield ""


def fields(node: ast.ClassDef) -> Iterator[tuple[ast.AnnAssign, str]]:
    """Each field of a dataclass with the sentence under it, empty if there is none."""
    for here, below in zip(node.body, [*node.body[1:], None], strict=True):
        if not isinstance(here, ast.AnnAssign):
            continue
        value = getattr(below, "value", None) if isinstance(below, ast.Expr) else None
        text = value.value if isinstance(value, ast.Constant) else ""
        yield here, text if isinstance(text, str) else ""


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    COMMANDS.write_text(commands_page(), encoding="utf-8")
    SERVICE.write_text(service_page(), encoding="utf-8")
