# SPDX-FileCopyrightText: Photocast contributors
# SPDX-License-Identifier: Apache-2.0
"""The tables of the service, alike on SQLite and PostgreSQL.

Times are seconds since 1970 in UTC. They are shown to people and decide when files expire; nothing
that keeps two workers apart depends on them.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

__all__ = [
    "SCHEMA_VERSION",
    "artifacts",
    "blobs",
    "deliveries",
    "events",
    "history",
    "idempotency",
    "inputs",
    "jobs",
    "keys",
    "metadata",
    "schema",
    "uploads",
    "workers",
]

SCHEMA_VERSION = 1

metadata = MetaData()
_Number = BigInteger().with_variant(Integer, "sqlite")  # only INTEGER counts up by itself there

schema = Table("schema_version", metadata, Column("version", Integer, nullable=False))

jobs = Table(
    "jobs",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("owner", String(64), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("version", Integer, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("queued_at", Double),
    Column("started_at", Double),
    Column("finished_at", Double),
    Column("options", JSON, nullable=False),
    Column("labels", JSON, nullable=False),
    Column("parent_id", String(40)),
    Column("webhook", JSON),
    Column("max_seconds", Double, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("losses", Integer, nullable=False),
    Column("lease_owner", String(64)),
    Column("beat", Integer, nullable=False),
    Column("cancel_requested_at", Double),
    Column("progress", JSON, nullable=False),
    Column("inputs", JSON, nullable=False),
    Column("verdict", String(16)),
    Column("warnings", JSON, nullable=False),
    Column("error", JSON),
    Column("artifacts_state", String(16), nullable=False),
    Column("expires_at", Double),
    Index("jobs_by_owner", "owner", "id"),
    Index("jobs_by_state", "state", "queued_at", "id"),
)

inputs = Table(
    "inputs",
    metadata,
    Column("job_id", ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("role", String(16), primary_key=True),
    Column("name", String(255), primary_key=True),
    Column("key", String(255), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("size", BigInteger, nullable=False),
    Index("inputs_by_key", "key"),
)

artifacts = Table(
    "artifacts",
    metadata,
    Column("job_id", ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("name", String(255), primary_key=True),
    Column("key", String(255), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("media_type", String(127), nullable=False),
)

events = Table(
    "events",
    metadata,
    Column("id", _Number, primary_key=True, autoincrement=True),
    Column("job_id", ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False),
    Column("at", Double, nullable=False),
    Column("type", String(16), nullable=False),
    Column("data", JSON, nullable=False),
    Index("events_by_job", "job_id", "id"),
    sqlite_autoincrement=True,  # numbers of deleted events are not given again
)

blobs = Table(
    "blobs",
    metadata,
    Column("owner", String(64), primary_key=True),
    Column("sha256", String(64), primary_key=True),
    Column("key", String(255), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("media_type", String(127), nullable=False),
    Column("used_at", Double, nullable=False),
    Index("blobs_by_key", "key"),
)

uploads = Table(
    "uploads",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("owner", String(64), nullable=False),
    Column("name", String(255), nullable=False),
    Column("size", BigInteger),
    Column("offset", BigInteger, nullable=False),
    Column("sha256", String(64)),
    Column("facts", JSON, nullable=False),
    Column("expires_at", Double, nullable=False),
    Index("uploads_by_owner", "owner"),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("owner", String(64), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("fingerprint", String(64), nullable=False),
    Column("created_at", Double, nullable=False),
    Column("status", Integer),
    Column("headers", JSON),
    Column("body", LargeBinary),
)

keys = Table(
    "keys",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("hash", String(64), nullable=False, unique=True),
    Column("owner", String(64), nullable=False),
    Column("name", String(255), nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double),
    Column("revoked_at", Double),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("job_id", ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("event", String(32), nullable=False),
    Column("body", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("tries", Integer, nullable=False),
    Column("due_at", Double, nullable=False),
    Column("claimed_at", Double),
    Column("outcome", JSON, nullable=False),
    UniqueConstraint("job_id", "number"),
    Index("deliveries_by_state", "state", "due_at"),
)

workers = Table(
    "workers",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("started_at", Double, nullable=False),
    Column("seen_at", Double, nullable=False),
    Column("facts", JSON, nullable=False),
)

history = Table(
    "history",
    metadata,
    Column("id", _Number, primary_key=True, autoincrement=True),
    Column("at", Double, nullable=False),
    Column("profile", String(127), nullable=False),
    Column("facts", JSON, nullable=False),
    Index("history_by_profile", "profile", "id"),
)
