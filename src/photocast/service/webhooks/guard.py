# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Where a webhook may lead: to public addresses, over https.

An address that a user names must not become a way into the service's own network. The name is
resolved once, every address it has is judged, and the connection goes to a judged address: asking
the resolver again could give another answer. TLS and the Host header still name the host. One
parser, httpx's, reads the URL for the judgement and for the request.

Source: OWASP, Server-Side Request Forgery Prevention; the registries of IANA for special addresses.
"""

import asyncio
import ipaddress
import socket
from typing import TYPE_CHECKING

from photocast.errors import UserError

if TYPE_CHECKING:
    import httpx  # for what runs, it is imported where it is used: it would delay the start

__all__ = ["WebhookRefused", "check_url", "is_public", "post", "resolve"]

_ANSWER_BYTES = 64_000  # of the answer that are read, so that the receiver can finish
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_UNICAST = ipaddress.ip_network("2000::/3")
_REFUSED = [
    ipaddress.ip_network(net)
    for net in (
        "192.0.0.0/24",  # metadata of a cloud; older Pythons know only parts of it
        "192.88.99.0/24",  # ways to other addresses, which nobody has judged
        "2001::/32",
        "2002::/16",
    )
]
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class WebhookRefused(UserError):
    """A webhook leads where it must not."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, code="webhook.url")


def is_public(address: str) -> bool:
    """Whether an address in digits is one of the open internet."""
    found: _Address = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            found = found.ipv4_mapped
        elif found in _NAT64:
            found = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        elif found not in _UNICAST:
            return False
    if any(found in net for net in _REFUSED if net.version == found.version):
        return False
    return found.is_global and not (found.is_multicast or found.is_reserved)


def check_url(text: str, *, private: bool) -> "httpx.URL":
    """Judge a URL without asking a resolver.

    Args:
        text: As the user wrote it.
        private: Allow http, any port, and addresses that are not public.

    Raises:
        WebhookRefused: It is no URL, or leads where it must not.
    """
    import httpx

    try:
        url = httpx.URL(text)
    except (httpx.InvalidURL, UnicodeError):
        raise WebhookRefused("The webhook's URL cannot be read.") from None
    if url.scheme not in (("http", "https") if private else ("https",)) or not url.host:
        raise WebhookRefused("The webhook's URL must begin with https:// and name a host.")
    if url.userinfo:
        raise WebhookRefused("The webhook's URL must not hold a name or password before the host.")
    if url.port is not None and not (0 if private else 1024) <= url.port <= 65535:  # 443 is None
        raise WebhookRefused(f"The webhook's port is {url.port}; it must be 443 or 1024 to 65535.")
    try:  # digits in any spelling, such as 0x7f.1 or 2130706433, without a resolver
        given = socket.getaddrinfo(url.host, None, flags=socket.AI_NUMERICHOST)
    except UnicodeError:
        raise WebhookRefused("The webhook's host cannot be a name.") from None
    except OSError:
        return url
    _judge([str(entry[4][0]) for entry in given], private=private)
    return url


async def resolve(url: "httpx.URL", *, private: bool) -> list[str]:
    """The addresses of a URL's host, all of them judged.

    Raises:
        WebhookRefused: One of them is not public.
        OSError: The name has no address.
    """
    loop, port = asyncio.get_running_loop(), url.port or (443 if url.scheme == "https" else 80)
    found = await loop.getaddrinfo(url.raw_host.decode(), port, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    _judge(addresses, private=private)
    return addresses


async def post(
    client: "httpx.AsyncClient", text: str, headers: dict[str, str], body: bytes, *, private: bool
) -> int:
    """Send a message to a judged address of a URL's host; the status of the answer.

    Raises:
        WebhookRefused: It leads where it must not.
        OSError, httpx.HTTPError: Nobody answers as they should.
    """
    import httpx

    url = check_url(text, private=private)
    *others, last = await resolve(url, private=private)
    for address in others:
        try:
            return await _post(client, url, address, headers, body)
        except httpx.ConnectError:
            continue  # the host has further addresses, for example without IPv6
    return await _post(client, url, last, headers, body)


async def _post(
    client: "httpx.AsyncClient",
    url: "httpx.URL",
    address: str,
    headers: dict[str, str],
    body: bytes,
) -> int:
    named = {**headers, "Host": url.netloc.decode()}
    extensions = {"sni_hostname": url.raw_host.decode()}
    target = url.copy_with(host=address, fragment=None)
    async with client.stream(
        "POST", target, content=body, headers=named, extensions=extensions, follow_redirects=False
    ) as answer:
        read = 0
        async for chunk in answer.aiter_raw():
            read += len(chunk)
            if read > _ANSWER_BYTES:
                break
        return answer.status_code


def _judge(addresses: list[str], *, private: bool) -> None:
    if not private and not all(is_public(address) for address in addresses):
        raise WebhookRefused(
            "The webhook's host has an address that is not public. Use a public one, or let the "
            "operator set PHOTOCAST_WEBHOOK_PRIVATE."
        )
