# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""The description of the API (OpenAPI), with the one form of every refusal."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from photocast.service.problems import MEDIA_TYPE
from photocast.wire import Problem

__all__ = ["describe"]

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


def _with_refusals(document: dict[str, Any]) -> dict[str, Any]:
    for methods in document["paths"].values():
        for operation in methods.values():
            operation["responses"].pop("422", None)  # FastAPI's own form, which is never sent
            operation["responses"]["default"] = _REFUSAL
    models = document.setdefault("components", {}).setdefault("schemas", {})
    for name in _UNUSED:
        models.pop(name, None)
    problem = Problem.model_json_schema(ref_template=_REF)
    for name, model in problem.pop("$defs", {}).items():
        models.setdefault(name, model)
    models.setdefault("Problem", problem)
    return document
