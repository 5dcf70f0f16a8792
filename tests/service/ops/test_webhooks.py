# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""Webhooks: signed, tried again, sent by one process at a time, and never forgotten."""

import json
import ssl
import threading
import time

import pytest
import standardwebhooks
import trustme
from sqlalchemy import select, update

from photocast.jobs.deliveries import PAUSES, Deliveries
from photocast.jobs.record import NewJob, State
from photocast.jobs.store import JobStore
from photocast.jobs.tables import deliveries, jobs
from photocast.service.problems import ServiceError
from photocast.service.webhooks.prepare import prepare_webhook
from photocast.service.webhooks.sign import check_secret, new_secret, signed_headers
from photocast.settings import load_settings
from photocast.wire import WebhookRequest


def due_now(database):
    """Let time pass for all messages that wait."""
    with database.write() as connection:
        connection.execute(update(deliveries).values(due_at=0.0))


def told(service, job):
    answer = service.client.get(f"/v1/jobs/{job.id}/deliveries")
    assert answer.status_code == 200
    return answer.json()["deliveries"]


def test_the_standards_own_library_accepts_a_signature():
    secret, body = new_secret(), '{"type": "job.succeeded", "name": "Ä"}'
    headers = signed_headers(secret, "msg_1", int(time.time()), body.encode())
    assert standardwebhooks.Webhook(secret).verify(body, headers) == json.loads(body)
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(secret).verify(body + " ", headers)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "whsec_",
        "whsec_" + "A" * 28,
        "whsec_" + "A" * 88 + "AAAA",
        "c2VjcmV0" * 6,
        "whsec_" + "!" * 44,
        "whsec_ä" + "A" * 43,
    ],
)
def test_a_secret_that_breaks_the_rules_is_refused(text):
    assert not check_secret(text)


def test_secrets_are_made_where_none_is_given_and_differ():
    request = WebhookRequest(url="https://example.com/hook")
    made = [prepare_webhook(request, load_settings()) for _ in range(2)]
    assert all(check_secret(one["secret"]) for one in made)
    assert made[0]["secret"] != made[1]["secret"]
    assert made[0]["events"] == ["job.succeeded", "job.failed", "job.canceled"]


def test_a_secret_that_is_given_is_kept(secret):
    request = WebhookRequest(url="https://example.com/", secret=secret, events=["job.started"])
    made = prepare_webhook(request, load_settings())
    assert made == {"url": "https://example.com/", "secret": secret, "events": ["job.started"]}


@pytest.mark.parametrize(
    ("request_", "settings", "code"),
    [
        ({"url": "https://example.com/"}, {"webhooks": False}, "webhook.off"),
        ({"url": "http://example.com/"}, {}, "webhook.url"),
        ({"url": "https://127.0.0.1/"}, {}, "webhook.url"),
        ({"url": "https://example.com/", "secret": "x" * 30}, {}, "webhook.secret"),
    ],
)
def test_a_webhook_that_cannot_be_used_is_refused(request_, settings, code):
    with pytest.raises(ServiceError) as refused:
        prepare_webhook(WebhookRequest(**request_), load_settings(**settings))
    assert refused.value.code == code
    assert refused.value.status == 422


def test_a_job_that_ends_is_told_signed_and_once(service, receiver, secret):
    job = service.job(url=receiver.url)
    service.run(job, verdict="warn")
    receiver.wait(1)
    headers, body = receiver.got[0]
    message = standardwebhooks.Webhook(secret).verify(body, headers)
    assert message["type"] == "job.succeeded"
    assert message["data"]["job"]["id"] == job.id
    assert message["data"]["job"]["verdict"] == "warn"
    assert headers["content-type"] == "application/json"
    time.sleep(1.5)
    assert len(receiver.got) == 1
    (one,) = told(service, job)
    assert one["state"] == "delivered"
    assert one["message_id"] == headers["webhook-id"]
    assert [t["status"] for t in one["tries"]] == [204]
    assert secret not in json.dumps(one)


def test_a_message_goes_over_tls_to_who_has_the_right_certificate(
    start, listen, monkeypatch, tmp_path
):
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(server)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    with listen(tls=server) as receiver:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        with start(webhook_private=True) as service:
            service.run(service.job(url=receiver.url))
            receiver.wait(1)
        monkeypatch.delenv("SSL_CERT_FILE")
        with start(webhook_private=True) as service:
            job = service.job(url=receiver.url)
            service.run(job)
            service.until(lambda: told(service, job)[0]["tries"])
            assert "ConnectError" in told(service, job)[0]["tries"][0]["error"]
    assert len(receiver.got) == 1


def test_proxies_of_the_environment_are_not_used(start, listen, monkeypatch):
    with listen() as proxy, listen() as receiver:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy"):
            monkeypatch.setenv(name, proxy.url)
        with start(webhook_private=True) as service:
            service.run(service.job(url=receiver.url))
            receiver.wait(1)
        assert proxy.got == []


def test_private_addresses_get_nothing_unless_the_operator_allows_them(start, receiver):
    with start() as service:
        job = service.job(url=receiver.url.replace("http:", "https:"))
        service.run(job)
        service.until(lambda: told(service, job)[0]["tries"])
        assert "not public" in told(service, job)[0]["tries"][0]["error"]
    assert receiver.got == []


def test_a_failed_try_is_repeated_later_under_the_same_name(service, listen):
    with listen(statuses=[500, 302, 200]) as receiver:
        job = service.job(url=receiver.url)
        service.run(job)
        for count in (1, 2, 3):
            receiver.wait(count)
            service.until(lambda count=count: len(told(service, job)[0]["tries"]) == count)
            if count < 3:
                (one,) = told(service, job)
                assert one["state"] == "waiting"
                due_now(service.context.database)
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1
    (one,) = told(service, job)
    assert one["state"] == "delivered"
    assert [t["status"] for t in one["tries"]] == [500, 302, 200]


def test_pauses_grow_over_about_a_day_and_the_message_is_dead_afterwards(quiet):
    job = quiet.job(url="https://example.invalid/")
    database = quiet.context.database
    table = Deliveries(database)
    quiet.run(job)
    pauses = []
    for _ in range(len(PAUSES) + 1):
        due_now(database)
        claimed = table.claim(1)
        began = time.time()
        now = table.settle(claimed[0][0], {"at": began}, done=False)
        pauses.append(now.due_at - began)
    assert now.state == "dead"
    for given, pause in zip(PAUSES, pauses, strict=False):
        assert given <= pause <= 1.2 * given + 1
    assert 0.8 * 86_400 < sum(PAUSES) < 1.2 * 86_400


def test_a_receiver_that_says_gone_is_told_nothing_more_of_that_job(service, listen):
    with listen(statuses=[410]) as receiver:
        job = service.job(url=receiver.url)
        service.run(job, State.QUEUED)
        service.context.jobs.cancel(job.id, "local")
        receiver.wait(1)
        service.until(lambda: told(service, job)[0]["tries"])
        assert told(service, job)[0]["state"] == "dead"
        with service.context.database.read() as connection:
            webhook = connection.execute(select(jobs.c.webhook).where(jobs.c.id == job.id)).scalar()
        assert webhook["events"] == []
        again = service.client.post(f"/v1/jobs/{job.id}/rerun", json={}).json()
        service.context.jobs.cancel(again["id"], "local")
        assert service.client.get(f"/v1/jobs/{again['id']}/deliveries").json()["deliveries"] == []


def test_a_message_is_sent_again_on_request_under_its_old_name(service, receiver):
    job = service.job(url=receiver.url)
    service.run(job)
    service.until(lambda: told(service, job)[0]["state"] == "delivered")
    answer = service.client.post(f"/v1/jobs/{job.id}/deliveries/1/redeliver")
    assert answer.status_code == 202
    assert answer.json()["state"] == "waiting"
    receiver.wait(2)
    assert receiver.got[0][0]["webhook-id"] == receiver.got[1][0]["webhook-id"]
    assert receiver.got[0][1] == receiver.got[1][1]
    service.until(lambda: len(told(service, job)[0]["tries"]) == 2)


def test_a_message_that_is_being_sent_is_not_sent_beside_it(service, listen):
    with listen(seconds=1.0) as receiver:
        job = service.job(url=receiver.url)
        service.run(job)
        receiver.wait(1)
        answer = service.client.post(f"/v1/jobs/{job.id}/deliveries/1/redeliver")
        assert answer.status_code == 409
        assert answer.json()["code"] == "webhook.sending"
        service.until(lambda: told(service, job)[0]["state"] == "delivered")
    assert receiver.most_at_once == 1


def test_a_message_that_is_not_there_cannot_be_sent_again(service):
    job = service.job(url="https://example.invalid/")
    answer = service.client.post(f"/v1/jobs/{job.id}/deliveries/7/redeliver")
    assert (answer.status_code, answer.json()["code"]) == (404, "webhook.not_found")


def test_nobody_sees_the_messages_of_another_owner(service):
    job = service.job(url="https://example.invalid/", owner="somebody")
    for method, path in (("GET", ""), ("POST", "/1/redeliver")):
        answer = service.client.request(method, f"/v1/jobs/{job.id}/deliveries{path}")
        assert (answer.status_code, answer.json()["code"]) == (404, "job.not_found")


def test_many_senders_claim_each_message_once(quiet):
    database = quiet.context.database
    store, claimed, lock = JobStore(database), [], threading.Lock()
    hook = {"url": "https://example.invalid/", "secret": new_secret(), "events": ["job.canceled"]}
    new = NewJob(owner="local", options={}, labels={}, webhook=hook, max_seconds=1.0)
    for _ in range(20):
        store.cancel(store.create(new).id, "local")

    def claim() -> None:
        table = Deliveries(database)
        while got := table.claim(3):
            with lock:
                claimed.extend(sent.id for sent, _ in got)

    threads = [threading.Thread(target=claim) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(claimed) == len(set(claimed)) == 20


def test_a_sender_that_was_too_slow_does_not_overwrite_what_another_wrote(quiet):
    database = quiet.context.database
    table = Deliveries(database, claim_seconds=0.0)
    job = quiet.job(url="https://example.invalid/")
    quiet.run(job)
    slow = table.claim(1)
    fast = table.claim(1)
    assert slow
    assert fast
    assert table.settle(fast[0][0], {"at": 1.0}, done=True).state == "delivered"
    assert table.settle(slow[0][0], {"at": 2.0}, done=False) is None
