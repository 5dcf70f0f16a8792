# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Signatures of messages, as Standard Webhooks (v1, symmetric) has them."""

import base64
import binascii
import hashlib
import hmac
import secrets

__all__ = ["check_secret", "new_secret", "signed_headers"]

_PREFIX = "whsec_"
_LEAST, _MOST = 24, 64  # bytes of a secret, by the specification


def new_secret() -> str:
    """Make a secret that nobody can guess."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def check_secret(text: str) -> bool:
    """Whether a text is a secret by the rules."""
    try:
        return _LEAST <= len(_bytes(text)) <= _MOST
    except binascii.Error:
        return False


def signed_headers(secret: str, message_id: str, at: int, body: bytes) -> dict[str, str]:
    """The three headers of a message; ``at`` is when it is sent, in seconds since 1970."""
    signed = f"{message_id}.{at}.".encode() + body
    digest = hmac.new(_bytes(secret), signed, hashlib.sha256).digest()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(at),
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


def _bytes(secret: str) -> bytes:
    if not secret.startswith(_PREFIX) or not secret.isascii():
        raise binascii.Error("no secret of a webhook")
    return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
