"""The tables of a core's SQLite file.

`core_records` holds both directions: what kits sent (`addressee` is "") and the core's own for its kits (`outcome` is
NULL). What is applied is keyed by the kit it came from, so that no kit can touch another's.
"""

from __future__ import annotations

from kit.store import links
from kit.store.migrations import Migration, sql
from sync.core import digest_rows
from sync.core.reading_rows import COUNT_EARLIER

MIGRATIONS: tuple[Migration, ...] = (
    *links.MIGRATIONS,
    sql(
        "core",
        "0001_kits_and_invites",
        """
        CREATE TABLE core_kits (
            unit TEXT PRIMARY KEY, name TEXT NOT NULL, link_id INTEGER NOT NULL UNIQUE,
            exchange_public BLOB NOT NULL UNIQUE, curve_public BLOB NOT NULL,
            enrolled_ms INTEGER NOT NULL, enrolled_by TEXT NOT NULL
        ) WITHOUT ROWID;
        CREATE INDEX core_kits_by_curve ON core_kits (curve_public);
        CREATE TABLE core_heard (
            unit TEXT NOT NULL REFERENCES core_kits (unit) ON DELETE CASCADE,
            link TEXT NOT NULL, via TEXT NOT NULL, at_ms INTEGER NOT NULL, PRIMARY KEY (unit, link)
        ) WITHOUT ROWID;
        CREATE TABLE core_invites (
            link_id INTEGER PRIMARY KEY, name TEXT NOT NULL, salt BLOB NOT NULL, knock_public BLOB NOT NULL UNIQUE,
            created_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL,
            used_by TEXT NOT NULL DEFAULT '', used_key BLOB, welcomed_ms INTEGER
        )
        """,
    ),
    sql(
        "core",
        "0002_records",
        """
        CREATE TABLE core_own (
            only_one INTEGER PRIMARY KEY CHECK (only_one = 1),
            origin TEXT NOT NULL, epoch INTEGER NOT NULL, last_seq INTEGER NOT NULL
        );
        CREATE TABLE core_records (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            origin TEXT NOT NULL, epoch INTEGER NOT NULL, seq INTEGER NOT NULL,
            kind TEXT NOT NULL, priority INTEGER NOT NULL, created_ms INTEGER NOT NULL, lifetime_s INTEGER,
            addressee TEXT NOT NULL, body BLOB NOT NULL,
            link TEXT NOT NULL DEFAULT '', received_ms INTEGER, outcome TEXT, applied_ms INTEGER,
            reason TEXT NOT NULL DEFAULT '',
            left_ms INTEGER, accepted_ms INTEGER,
            UNIQUE (origin, epoch, seq)
        );
        CREATE INDEX core_records_to_send ON core_records (addressee, priority, number)
            WHERE outcome IS NULL AND accepted_ms IS NULL;
        CREATE INDEX core_records_not_applied ON core_records (outcome, number)
            WHERE outcome IN ('raw', 'undecodable');
        CREATE TABLE core_counts (
            origin TEXT NOT NULL, outcome TEXT NOT NULL, records INTEGER NOT NULL, PRIMARY KEY (origin, outcome)
        ) WITHOUT ROWID;
        CREATE TABLE core_refused (
            number INTEGER PRIMARY KEY AUTOINCREMENT, peer TEXT NOT NULL,
            origin TEXT NOT NULL, epoch INTEGER NOT NULL, seq INTEGER NOT NULL,
            kind TEXT NOT NULL, priority INTEGER NOT NULL, created_ms INTEGER NOT NULL, body BLOB NOT NULL,
            digest BLOB NOT NULL, reason TEXT NOT NULL, link TEXT NOT NULL, first_ms INTEGER NOT NULL,
            times INTEGER NOT NULL,
            UNIQUE (peer, origin, epoch, seq, digest)
        );
        CREATE TABLE core_sessions (peer TEXT PRIMARY KEY, state BLOB NOT NULL) WITHOUT ROWID
        """,
    ),
    sql(
        "core",
        "0003_applied",
        """
        CREATE TABLE core_alerts (
            unit TEXT NOT NULL, identifier TEXT NOT NULL, epoch INTEGER NOT NULL, seq INTEGER NOT NULL,
            incident TEXT NOT NULL, expires_ms INTEGER NOT NULL, body BLOB NOT NULL,
            PRIMARY KEY (unit, identifier)
        ) WITHOUT ROWID;
        CREATE INDEX core_alerts_by_incident ON core_alerts (unit, incident, epoch, seq);
        CREATE INDEX core_alerts_by_end ON core_alerts (unit, expires_ms);
        CREATE TABLE core_receipts (
            unit TEXT NOT NULL, alert TEXT NOT NULL, person TEXT NOT NULL, channel TEXT NOT NULL,
            at_ms INTEGER NOT NULL, PRIMARY KEY (unit, alert, person, channel)
        ) WITHOUT ROWID;
        CREATE TABLE core_series (
            id INTEGER PRIMARY KEY, unit TEXT NOT NULL, device TEXT NOT NULL, quantity TEXT NOT NULL,
            unit_symbol TEXT NOT NULL, count INTEGER NOT NULL DEFAULT 0,
            latest_ms INTEGER, latest_value REAL, latest_quality INTEGER,
            UNIQUE (unit, device, quantity, unit_symbol)
        );
        CREATE TABLE core_readings (
            series INTEGER NOT NULL, time_ms INTEGER NOT NULL, value REAL NOT NULL, quality INTEGER NOT NULL,
            PRIMARY KEY (series, time_ms)
        ) WITHOUT ROWID;
        CREATE TABLE core_forecasts (
            unit TEXT PRIMARY KEY, epoch INTEGER NOT NULL, seq INTEGER NOT NULL, issued_ms INTEGER NOT NULL,
            night TEXT NOT NULL, device TEXT NOT NULL, tmin_c REAL NOT NULL, tmin_p10_c REAL NOT NULL,
            tmin_p90_c REAL NOT NULL, p_frost REAL NOT NULL, warning INTEGER NOT NULL
        ) WITHOUT ROWID;
        CREATE TABLE core_quizzes (
            unit TEXT NOT NULL, epoch INTEGER NOT NULL, seq INTEGER NOT NULL,
            lesson TEXT NOT NULL, version INTEGER NOT NULL, attempts INTEGER NOT NULL, questions INTEGER NOT NULL,
            mean_score REAL NOT NULL, until_ms INTEGER NOT NULL, PRIMARY KEY (unit, epoch, seq)
        ) WITHOUT ROWID
        """,
    ),
    sql(
        "core",
        "0010_messages_and_forwarding",
        # `to_send` is 1 for what still has to reach its addressee: the core's own records, and kits' for other kits
        """
        ALTER TABLE core_records ADD COLUMN to_send INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE core_records ADD COLUMN sent_by TEXT NOT NULL DEFAULT '';
        ALTER TABLE core_records ADD COLUMN read_ms INTEGER;
        ALTER TABLE core_records ADD COLUMN read_by TEXT NOT NULL DEFAULT '';
        UPDATE core_records SET to_send = 1, sent_by = link WHERE outcome IS NULL;
        DROP INDEX core_records_to_send;
        CREATE INDEX core_records_to_send ON core_records (addressee, priority, number)
            WHERE to_send = 1 AND accepted_ms IS NULL;
        CREATE INDEX core_records_messages ON core_records (number) WHERE kind = 'message'
        """,
    ),
    sql(
        "core",
        "0011_twins",
        """
        ALTER TABLE core_kits ADD COLUMN twin_ms INTEGER;
        ALTER TABLE core_own ADD COLUMN highest_0 INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE core_own ADD COLUMN highest_1 INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE core_own ADD COLUMN highest_2 INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE core_own ADD COLUMN highest_3 INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE core_own ADD COLUMN highest_4 INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE core_own ADD COLUMN highest_5 INTEGER NOT NULL DEFAULT 0
        """,
    ),
    sql(
        "core",
        "0020_hours",
        # `told` and what follows are a summary's; `readings` and `usable` count what is in core_readings
        """
        CREATE TABLE core_hours (
            series INTEGER NOT NULL, hour_ms INTEGER NOT NULL,
            readings INTEGER NOT NULL DEFAULT 0, usable INTEGER NOT NULL DEFAULT 0,
            told INTEGER, mean REAL, low REAL, high REAL, epoch INTEGER, seq INTEGER,
            PRIMARY KEY (series, hour_ms)
        ) WITHOUT ROWID;
        """
        + COUNT_EARLIER,
    ),
    sql(
        "core",
        "0030_broadcasts",
        # the records are in core_records with the addressee `*`; here is for whom each is, and how far it has come
        """
        CREATE TABLE core_broadcasts (
            number INTEGER PRIMARY KEY REFERENCES core_records (number), everybody INTEGER NOT NULL,
            alert TEXT NOT NULL, packets INTEGER NOT NULL DEFAULT 0, over INTEGER NOT NULL DEFAULT 0
        );
        CREATE INDEX core_broadcasts_running ON core_broadcasts (number) WHERE over = 0;
        CREATE INDEX core_broadcasts_by_alert ON core_broadcasts (alert) WHERE alert <> '';
        CREATE TABLE core_multicast (
            number INTEGER NOT NULL REFERENCES core_broadcasts (number), unit TEXT NOT NULL,
            link TEXT NOT NULL DEFAULT '', left_ms INTEGER, accepted_ms INTEGER, read_ms INTEGER,
            read_by TEXT NOT NULL DEFAULT '', PRIMARY KEY (number, unit)
        ) WITHOUT ROWID;
        CREATE INDEX core_multicast_waiting ON core_multicast (unit, number) WHERE accepted_ms IS NULL;
        CREATE INDEX core_records_keys ON core_records (addressee) WHERE kind = 'core-key'
        """,
    ),
    sql(
        "core",
        "0040_villages",
        """
        ALTER TABLE core_records ADD COLUMN undeliverable_ms INTEGER;
        CREATE INDEX core_records_villages ON core_records (number) WHERE kind = 'villages'
        """,
    ),
    sql(
        "core",
        "0050_opened_files",
        "ALTER TABLE core_multicast ADD COLUMN opened_ms INTEGER",  # when somebody at that kit first opened the file
    ),
    Migration("core", "0060_digests", digest_rows.make),
    sql(
        "core",
        "0061_withdrawn_files",
        # the number of the record that takes the file back
        """
        ALTER TABLE core_broadcasts ADD COLUMN withdrawn_by INTEGER;
        CREATE INDEX core_broadcasts_withdrawals ON core_broadcasts (withdrawn_by) WHERE withdrawn_by IS NOT NULL
        """,
    ),
    sql(
        "core",
        "0070_next_keys",
        # keys that a kit has told and does not speak under yet, and the record that told them; for whom an invite is
        """
        ALTER TABLE core_kits ADD COLUMN next_public BLOB;
        ALTER TABLE core_kits ADD COLUMN next_curve BLOB;
        ALTER TABLE core_kits ADD COLUMN next_epoch INTEGER NOT NULL DEFAULT -1;
        ALTER TABLE core_kits ADD COLUMN next_seq INTEGER NOT NULL DEFAULT -1;
        CREATE INDEX core_kits_by_next_curve ON core_kits (next_curve) WHERE next_curve IS NOT NULL;
        ALTER TABLE core_invites ADD COLUMN unit TEXT NOT NULL DEFAULT ''
        """,
    ),
)
