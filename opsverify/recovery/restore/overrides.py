"""Overrides: every setting of PostgreSQL is classified, and the risky ones get a value of the drill's own.

Production's configuration is part of a backup, and is made for production's machine: it may preload libraries that are
not here, end statements after a second, connect to publishers, or hide damage. A setting is overridden, or kept by
name, or of a group in which no setting matters to a drill; `classify` returns None for any other, and a test requires
that there is none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from opsverify.errors import Inconclusive
from opsverify.language.message import say

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Override:
    """A setting's `value` on the drill's server, and why; from version `since` up to, not including, `before`."""

    value: str
    why: str
    since: int = 0
    before: int = 99


def _all(why: str, since: int = 0, before: int = 99, **values: str) -> dict[str, Override]:
    return {name: Override(value, why, since, before) for name, value in values.items()}


START: Final = "could keep it from starting here"
ENDS: Final = "could end or bend its statements"
REACH: Final = "could reach outside of the drill"
HIDES: Final = "could hide damage"
LOG: Final = "its log is read back"

OVERRIDES: Final[Mapping[str, Override]] = {
    **_all(
        START, shared_preload_libraries="", session_preload_libraries="", local_preload_libraries="", jit="off",
        huge_pages="off", shared_memory_type="mmap", max_files_per_process="1000", unix_socket_group="",
        work_mem="64MB", maintenance_work_mem="256MB", autovacuum_work_mem="-1", temp_buffers="8MB", wal_buffers="-1",
        shared_buffers="128MB", wal_compression="off", timezone_abbreviations="Default",
    ),
    **_all(START, 14, huge_page_size="0", min_dynamic_shared_memory="0", default_toast_compression="pglz"),
    **_all(START, 14, recovery_init_sync_method="fsync"),
    **_all(START, 15, recovery_prefetch="try", wal_decode_buffer_size="512kB"),
    **_all(
        START, 17, transaction_buffers="0", subtransaction_buffers="0", commit_timestamp_buffers="0",
        multixact_member_buffers="32", multixact_offset_buffers="16", notify_buffers="16", serializable_buffers="32",
    ),
    **_all(START, 18, io_method="worker", io_max_concurrency="-1", oauth_validator_libraries=""),
    **_all(
        ENDS, statement_timeout="0", lock_timeout="0", idle_in_transaction_session_timeout="0",
        default_transaction_read_only="off", default_transaction_isolation="read committed",
        default_transaction_deferrable="off", session_replication_role="origin", exit_on_error="off",
        restart_after_crash="off", temp_file_limit="-1", default_tablespace="", temp_tablespaces="",
        default_table_access_method="heap", row_security="on", pre_auth_delay="0", post_auth_delay="0",
        recovery_min_apply_delay="0", hot_standby="on", autovacuum="off", wal_consistency_checking="",
        allow_system_table_mods="off",
    ),
    **_all(ENDS, 14, idle_session_timeout="0"),
    **_all(ENDS, 17, transaction_timeout="0", summarize_wal="off"),
    **_all(ENDS, before=17, old_snapshot_threshold="-1", db_user_namespace="off"),
    **_all(
        REACH, archive_mode="off", archive_command="", primary_conninfo="", primary_slot_name="",
        synchronous_standby_names="", recovery_end_command="", archive_cleanup_command="", external_pid_file="",
        ssl="off", ssl_passphrase_command="", bonjour="off", max_logical_replication_workers="0",
        hot_standby_feedback="off",
    ),
    **_all(REACH, 13, wal_receiver_create_temp_slot="off"),
    **_all(REACH, 15, archive_library=""),
    **_all(REACH, 17, sync_replication_slots="off", synchronized_standby_slots=""),
    **_all(REACH, 12, 16, promote_trigger_file=""),
    **_all(HIDES, zero_damaged_pages="off", ignore_checksum_failure="off", ignore_system_indexes="off"),
    **_all(HIDES, 13, ignore_invalid_pages="off"),
    **_all(
        LOG, logging_collector="off", log_destination="stderr", log_min_messages="warning", log_timezone="UTC",
        timezone="UTC", lc_messages="C", log_error_verbosity="default", log_line_prefix="%m [%p] ",
        log_statement="none", log_duration="off",
    ),
}  # fmt: skip
"""Settings with a value of the drill's own, whatever production's files say."""

SET_BY_RESTORE: Final = frozenset(
    (
        "config_file", "data_directory", "hba_file", "ident_file", "listen_addresses", "port",
        "unix_socket_directories", "unix_socket_permissions", "restore_command", "recovery_target",
        "recovery_target_action", "recovery_target_inclusive", "recovery_target_lsn", "recovery_target_name",
        "recovery_target_time", "recovery_target_timeline", "recovery_target_xid",
    )
)  # fmt: skip
"""Settings whose values belong to one restore: its folders, its port, its target."""

_KEPT: Final = frozenset(
    (
        "allow_alter_system", "allow_in_place_tablespaces", "archive_timeout", "array_nulls",
        "authentication_timeout", "backslash_quote", "backtrace_functions", "bonjour_name", "bytea_output",
        "check_function_bodies", "client_connection_check_interval", "client_encoding", "client_min_messages",
        "commit_delay", "commit_siblings", "createrole_self_grant", "data_sync_retry", "datestyle",
        "deadlock_timeout", "default_text_search_config", "dynamic_library_path", "dynamic_shared_memory_type",
        "escape_string_warning", "event_source", "event_triggers", "extension_control_path",
        "extension_destdir", "extra_float_digits", "file_copy_method", "file_extend_method", "fsync",
        "full_page_writes", "gin_fuzzy_search_limit", "gin_pending_list_limit", "gss_accept_delegation",
        "hash_mem_multiplier", "icu_validation_level", "idle_replication_slot_timeout", "intervalstyle",
        "jit_provider", "krb_caseins_users", "krb_server_keyfile", "lc_monetary", "lc_numeric", "lc_time",
        "lo_compat_privileges", "log_directory", "log_file_mode", "log_filename", "log_rotation_age",
        "log_rotation_size", "log_truncate_on_rotation", "logical_decoding_work_mem",
        "max_active_replication_origins", "max_connections", "max_locks_per_transaction",
        "max_notify_queue_pages", "max_parallel_apply_workers_per_subscription", "max_pred_locks_per_page",
        "max_pred_locks_per_relation", "max_pred_locks_per_transaction", "max_prepared_transactions",
        "max_replication_slots", "max_slot_wal_keep_size", "max_stack_depth", "max_standby_archive_delay",
        "max_standby_streaming_delay", "max_sync_workers_per_subscription", "max_wal_senders",
        "md5_password_warnings", "output_plugin_libraries", "password_encryption", "quote_all_identifiers",
        "remove_temp_files_after_crash", "reserved_connections", "scram_iterations", "search_path",
        "send_abort_for_crash", "send_abort_for_kill", "ssl_ca_file", "ssl_cert_file", "ssl_ciphers",
        "ssl_crl_dir", "ssl_crl_file", "ssl_dh_params_file", "ssl_ecdh_curve", "ssl_groups", "ssl_key_file",
        "ssl_library", "ssl_max_protocol_version", "ssl_min_protocol_version",
        "ssl_passphrase_command_supports_reload", "ssl_prefer_server_ciphers", "ssl_tls13_ciphers",
        "standard_conforming_strings", "superuser_reserved_connections", "synchronize_seqscans",
        "synchronous_commit", "syslog_facility", "syslog_ident", "syslog_sequence_numbers",
        "syslog_split_messages", "tcp_keepalives_count", "tcp_keepalives_idle", "tcp_keepalives_interval",
        "tcp_user_timeout", "track_commit_timestamp", "transaction_deferrable", "transaction_isolation",
        "transaction_read_only", "transform_null_equals", "vacuum_buffer_usage_limit",
        "vacuum_defer_cleanup_age", "vacuum_failsafe_age", "wal_init_zero", "wal_keep_size", "wal_level",
        "wal_log_hints", "wal_receiver_status_interval", "wal_receiver_timeout", "wal_recycle",
        "wal_retrieve_retry_interval", "wal_sender_timeout", "wal_skip_threshold", "wal_sync_method",
        "wal_writer_delay", "wal_writer_flush_after", "xmlbinary", "xmloption",
    )
)  # fmt: skip
"""Settings that a drill leaves as they are: sizes that recovery requires, forms of text, and what only others use."""

_KEPT_GROUPS: Final = (
    "Query Tuning", "Statistics", "Vacuuming", "Autovacuum", "Preset Options", "Customized Options",
    "Reporting and Logging / What to Log", "Reporting and Logging / When to Log",
    "Reporting and Logging / Process Title", "Resource Usage / Background Writer", "Resource Usage / Cost-Based",
    "Resource Usage / I/O", "Resource Usage / Asynchronous Behavior", "Resource Usage / Worker Processes",
    "Write-Ahead Log / Checkpoints", "Write-Ahead Log / Summarization",
)  # fmt: skip
"""Groups of settings that change how fast something is, or what is counted and logged."""
_DEBUGGING: Final = (
    "vacuum_",
    "debug_",
    "trace_",
    "jit_",
    "log_btree_build_stats",
    "optimize_bounded_sort",
    "restrict_",
)
"""Beginnings of names that only print, slow down, or belong to VACUUM."""


def classify(name: str, group: str) -> str | None:
    """Why the setting `name` is overridden, `kept`, or None where it is not classified."""
    name = name.lower()
    if name in OVERRIDES:
        return OVERRIDES[name].why
    if name in SET_BY_RESTORE:
        return REACH
    if name in _KEPT or group.startswith(_KEPT_GROUPS) or name.startswith(_DEBUGGING):
        return "kept"
    return None


def overrides(major: int) -> dict[str, str]:
    """Values of the overridden settings that PostgreSQL `major` has."""
    return {name: one.value for name, one in OVERRIDES.items() if one.since <= major < one.before}


def own_settings(chosen: Mapping[str, str | float | bool]) -> dict[str, str]:
    """The target's own settings as text. Raises Inconclusive for one with which a drill could leave its folders."""
    for name in chosen:
        one = OVERRIDES.get(name.lower())
        if name.lower() in SET_BY_RESTORE or (one is not None and one.why in (REACH, HIDES)):
            raise Inconclusive(
                say(
                    "[recovery] settings: {name} cannot be chosen: the drill sets it, so that it stays apart", name=name
                )
            )
    return {name.lower(): _as_text(value) for name, value in chosen.items()}


def _as_text(value: str | float | bool) -> str:  # noqa: FBT001 - any value of TOML
    return ("on" if value else "off") if isinstance(value, bool) else str(value)


def session_options(major: int) -> str:
    """Options of a session of the drill: settings of a role or a database weigh more than the server's own."""
    names = [name for name, one in OVERRIDES.items() if one.why == ENDS and one.since <= major < one.before]
    values = {name: OVERRIDES[name].value for name in names if name in _PER_SESSION}
    if major >= _EVENT_TRIGGERS_SINCE:
        values["event_triggers"] = "off"  # one at login may refuse the session
    return " ".join(f"-c {name}={value.replace(' ', chr(92) + ' ')}" for name, value in values.items())


_EVENT_TRIGGERS_SINCE: Final = 17
_PER_SESSION: Final = frozenset(
    (
        "statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "idle_session_timeout",
        "transaction_timeout", "default_transaction_read_only", "default_transaction_isolation",
        "default_transaction_deferrable", "session_replication_role", "exit_on_error", "temp_file_limit",
        "default_tablespace", "temp_tablespaces", "default_table_access_method", "row_security",
    )
)  # fmt: skip
