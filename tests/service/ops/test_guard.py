# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""A webhook cannot be made to lead into the service's own network."""

import asyncio
import socket
import ssl

import httpx
import pytest
import trustme

from photocast.service.webhooks.guard import (
    WebhookRefused,
    check_url,
    is_public,
    post,
    resolve,
)

INSIDE = [
    "127.0.0.1",
    "127.8.9.10",
    "0.0.0.0",
    "10.1.2.3",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "169.254.169.254",
    "169.254.170.2",
    "100.64.0.1",
    "100.100.100.200",
    "192.0.0.192",
    "192.0.2.1",
    "198.18.0.1",
    "198.51.100.7",
    "203.0.113.9",
    "224.0.0.1",
    "239.1.1.1",
    "240.0.0.1",
    "255.255.255.255",
    "192.88.99.1",
    "::",
    "::1",
    "fe80::1",
    "fe80::1%eth0",
    "fc00::1",
    "fd00:ec2::254",
    "fec0::1",
    "ff02::1",
    "2001:db8::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "2002:7f00:1::",
    "2001:0:1:2:3:4:5:6",
    "100::1",
    "5f00::1",
]
OUTSIDE = ["93.184.215.14", "8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]


@pytest.mark.parametrize("address", INSIDE)
def test_an_address_that_is_not_of_the_open_internet_is_refused(address):
    assert not is_public(address)


@pytest.mark.parametrize("address", OUTSIDE)
def test_an_address_of_the_open_internet_is_allowed(address):
    assert is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "https://",
        "https:///path",
        "//example.com",
        "example.com",
        "",
        "https://name@example.com/",
        "https://name:word@example.com/",
        "https://example.com@127.0.0.1/",
        "https://example.com:22/",
        "https://example.com:80/",
        "https://example.com:0/",
        "https://example.com:70000/",
        "https://example.com:x/",
        "https://127.0.0.1/",
        "https://127.1/",
        "https://0x7f.1/",
        "https://0x7f000001/",
        "https://2130706433/",
        "https://017700000001/",
        "https://0/",
        "https://127。0。0。1/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[::ffff:7f00:1]:8443/",
        "https://[64:ff9b::7f00:1]/",
        "https://169.254.169.254/latest/meta-data",
        "https://" + "a" * 70 + ".example.com/",
        "https://exa\x00mple.com/",
    ],
)
def test_a_url_that_leads_inside_or_is_none_is_refused_without_a_resolver(url):
    with pytest.raises(WebhookRefused) as refused:
        check_url(url, private=False)
    assert refused.value.code == "webhook.url"


@pytest.mark.parametrize(
    "url", ["https://example.com/x?y=1", "https://example.com:443", "https://8.8.8.8:8443/"]
)
def test_a_public_url_is_allowed(url):
    assert check_url(url, private=False).scheme == "https"


@pytest.mark.parametrize("url", ["http://127.0.0.1:80/", "https://10.0.0.1/", "http://localhost/"])
def test_the_operator_may_allow_private_addresses_but_not_names_in_urls(url):
    assert check_url(url, private=True).host
    with pytest.raises(WebhookRefused):
        check_url("http://name@localhost/", private=True)


def test_a_name_that_leads_inside_is_refused_when_it_is_resolved():
    url = check_url("https://localhost:8443/", private=False)
    with pytest.raises(WebhookRefused):
        asyncio.run(resolve(url, private=False))


def answering(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """Let the system's resolver give these answers in turn for names; the names asked for."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def fake(host, port, family=0, type=0, proto=0, flags=0):
        if flags & socket.AI_NUMERICHOST or host.replace(".", "").isdigit():
            return real(host, port, family, type, proto, flags)
        asked.append(host)
        found = answers[min(len(asked), len(answers)) - 1]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in found]

    monkeypatch.setattr(socket, "getaddrinfo", fake)
    return asked


def test_one_private_address_among_public_ones_is_refused(monkeypatch):
    answering(monkeypatch, ["8.8.8.8", "10.0.0.1"])
    with pytest.raises(WebhookRefused):
        asyncio.run(resolve(check_url("https://example.com/", private=False), private=False))


def test_a_resolver_that_changes_its_mind_does_not_redirect_the_message(monkeypatch, listen):
    """DNS rebinding: the answer after the judged one is a receiver on this machine."""
    with listen() as receiver:
        port = httpx.URL(receiver.url).port
        asked = answering(monkeypatch, ["192.0.2.1"], ["127.0.0.1"])
        monkeypatch.setattr("photocast.service.webhooks.guard.is_public", "192.0.2.1".__eq__)

        async def send() -> int:
            async with httpx.AsyncClient(trust_env=False, timeout=0.5) as client:
                url = f"https://rebind.example:{port}/"
                return await post(client, url, {}, b"{}", private=False)

        with pytest.raises(httpx.TransportError):
            asyncio.run(send())
        assert asked == ["rebind.example"]
        assert receiver.got == []


def certified(name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """TLS for a receiver of that name, and for those who trust it."""
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return server, client


def send_to(url: str, trust: ssl.SSLContext) -> int:
    async def send() -> int:
        async with httpx.AsyncClient(verify=trust, trust_env=False) as client:
            return await post(client, url, {"webhook-id": "msg_1"}, b"{}", private=True)

    return asyncio.run(send())


def test_tls_and_host_header_name_the_host_and_not_the_address(monkeypatch, listen):
    server, trust = certified("hooks.example")
    names: list[str | None] = []
    server.sni_callback = lambda socket, name, context: names.append(name)
    with listen(tls=server) as receiver:
        port = httpx.URL(receiver.url).port
        answering(monkeypatch, ["127.0.0.1"])
        assert send_to(f"https://hooks.example:{port}/hook?x=1", trust) == 204
        assert names == ["hooks.example"]
        assert receiver.got[0][0]["host"] == f"hooks.example:{port}"


def test_a_certificate_for_another_name_is_refused(monkeypatch, listen):
    server, trust = certified("other.example")
    with listen(tls=server) as receiver:
        answering(monkeypatch, ["127.0.0.1"])
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            send_to(f"https://hooks.example:{httpx.URL(receiver.url).port}/", trust)
        assert receiver.got == []


def test_another_address_of_the_host_is_tried_where_nobody_listens(monkeypatch, listen):
    with listen() as receiver:
        port = httpx.URL(receiver.url).port
        answering(monkeypatch, ["127.0.0.2", "127.0.0.1"])
        assert send_to(f"http://hooks.example:{port}/", ssl.create_default_context()) == 204


def test_a_redirect_is_not_followed(listen):
    with listen() as inner, listen(statuses=[307]) as outer:
        outer.headers["Location"] = inner.url
        assert send_to(outer.url, ssl.create_default_context()) == 307
        assert inner.got == []
