# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""What the two clients promise: the same methods, light imports, a key that is not shown."""

import inspect
import subprocess
import sys

import pytest

import photocast
from photocast.client import AsyncClient, Client
from photocast.client.core import Plans
from photocast.errors import UserError

HEAVY = {"torch", "warp", "fastapi", "starlette", "sqlalchemy", "uvicorn", "scipy", "PIL", "cv2"}


def loaded_by(code: str) -> set[str]:
    """Packages that a fresh process has loaded after it ran."""
    script = f"{code}; import sys; print(' '.join(sys.modules))"
    made = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, encoding="utf-8", check=True
    )
    return {name.partition(".")[0] for name in made.stdout.split()}


def test_the_client_needs_only_what_a_bare_install_has():
    assert loaded_by("from photocast import Client, AsyncClient") & HEAVY == set()


def test_the_package_itself_loads_no_client():
    assert loaded_by("import photocast") & {*HEAVY, "httpx", "pydantic", "numpy"} == set()


def test_the_package_has_no_other_names():
    assert photocast.Client is Client
    with pytest.raises(AttributeError, match="Cleint"):
        photocast.Cleint  # noqa: B018


def plans_of(kind: type) -> dict[str, inspect.Signature]:
    """Methods that carry out a plan."""
    own = vars(kind).items()
    return {name: inspect.signature(one) for name, one in own if hasattr(one, "__wrapped__")}


def test_both_clients_have_every_plan_with_the_same_arguments():
    public = {name for name in vars(Plans) if not name.startswith("_")} - {"retry"}
    assert set(plans_of(Client)) == public
    assert plans_of(Client) == plans_of(AsyncClient)


@pytest.mark.parametrize(
    "url",
    ["127.0.0.1:8000", "ftp://host", "http://", "http://me:pw@host", "http://[", "http://h:99999"],
)
def test_an_address_that_is_none_is_refused_and_not_repeated(url):
    with pytest.raises(UserError) as caught:
        Client(url)
    assert caught.value.code == "client.url"
    assert "pw" not in str(caught.value)


def test_the_key_is_sent_and_not_shown():
    with Client("http://127.0.0.1:9", "pc_secret") as client:
        assert client._http.headers["Authorization"] == "Bearer pc_secret"
        assert "pc_secret" not in repr(client) + repr(client._http.headers)
