/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KW_STORE_SQLITE_SCHEMA_H
#define KW_STORE_SQLITE_SCHEMA_H

/*
 * The schema and every statement. `canonical` is the fact; session, utc and type repeat what is in
 * it so that queries find it. The triggers keep an operator's slip from changing the past; they are
 * no tamper control.
 */
#define KW_SQLITE_APPLICATION_ID 1264011351 /* "KWHW" */
#define KW_SQLITE_SCHEMA_VERSION 1

static const char sql_create[] = "BEGIN IMMEDIATE;"
                                 "CREATE TABLE log ("
                                 "  position INTEGER PRIMARY KEY,"
                                 "  session BLOB NOT NULL CHECK (length(session) = 16),"
                                 "  utc INTEGER NOT NULL,"
                                 "  type INTEGER NOT NULL,"
                                 "  leaf BLOB NOT NULL CHECK (length(leaf) = 32),"
                                 "  canonical BLOB NOT NULL CHECK (length(canonical) <= 2048)"
                                 ") STRICT;"
                                 "CREATE INDEX log_session ON log (session, position);"
                                 "CREATE INDEX log_utc ON log (utc);"
                                 "CREATE INDEX log_type ON log (type, position);"
                                 "CREATE TRIGGER log_no_update BEFORE UPDATE ON log"
                                 "  BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;"
                                 "CREATE TRIGGER log_no_delete BEFORE DELETE ON log"
                                 "  BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;"
                                 "PRAGMA application_id = 1264011351;"
                                 "PRAGMA user_version = 1;"
                                 "COMMIT;";

static const char sql_append[] =
    "INSERT INTO log (position, session, utc, type, leaf, canonical) VALUES (?, ?, ?, ?, ?, ?)";

static const char sql_count[] = "SELECT coalesce(max(position) + 1, 0) FROM log";

static const char sql_scan[] = "SELECT position, leaf, canonical FROM log"
                               " WHERE utc >= ?1 AND utc < ?2 ORDER BY position";

static const char sql_scan_session[] =
    "SELECT position, leaf, canonical FROM log"
    " WHERE utc >= ?1 AND utc < ?2 AND session = ?3 ORDER BY position";

#endif
