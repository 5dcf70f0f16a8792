# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""The description of the API (OpenAPI), with the one form of every refusal."""

import ast
import functools
import inspect
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from photocast import wire
from photocast.service.problems import MEDIA_TYPE

__all__ = ["describe", "options_schema"]

_REF = "#/components/schemas/{model}"
_REFUSAL = {
    "description": "Refused; `code` says why, and docs/errors.md what to do.",
    "content": {MEDIA_TYPE: {"schema": {"$ref": _REF.format(model="Problem")}}},
}
_UNUSED = ("HTTPValidationError", "ValidationError")


def describe(app: FastAPI) -> None:
    """Let an application describe itself as it is: any operation may answer with a problem."""

    def made() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = get_openapi(
                title=app.title,
                version=app.version,
                description=app.description,
                routes=app.routes,
            )
            app.openapi_schema = _with_refusals(document)
        return app.openapi_schema

    app.openapi = made  # type: ignore[method-assign]  # as FastAPI's documentation says


@functools.cache
def options_schema() -> dict[str, Any]:
    """JSON Schema of a job's options, with help."""
    schema = wire.Options.model_json_schema()
    _add_sentences({"Options": schema, **schema.get("$defs", {})})
    return schema


def _with_refusals(document: dict[str, Any]) -> dict[str, Any]:
    for methods in document["paths"].values():
        for operation in methods.values():
            operation["responses"].pop("422", None)  # FastAPI's own form, which is never sent
            operation["responses"]["default"] = _REFUSAL
    models = document.setdefault("components", {}).setdefault("schemas", {})
    for name in _UNUSED:
        models.pop(name, None)
    problem = wire.Problem.model_json_schema(ref_template=_REF)
    for name, model in problem.pop("$defs", {}).items():
        models.setdefault(name, model)
    models.setdefault("Problem", problem)
    _add_sentences(models)
    return document


def _add_sentences(models: dict[str, Any]) -> None:
    """Describe fields by the sentences under them in the source.

    Pydantic could (``use_attribute_docstrings``), but then each start reads the source for that.
    """
    for node in ast.parse(inspect.getsource(wire)).body:
        if not isinstance(node, ast.ClassDef) or node.name not in models:
            continue
        fields = models[node.name].get("properties", {})
        for field, below in zip(node.body, node.body[1:], strict=False):
            match field, below:
                case (
                    ast.AnnAssign(target=ast.Name(id=name)),
                    ast.Expr(value=ast.Constant(value=str(sentence))),
                ):
                    fields.get(name, {}).setdefault("description", inspect.cleandoc(sentence))
