"""Metrics as Prometheus reads them: its text format, version 0.0.4."""

from collections.abc import Iterable, Mapping

from shared.admin.models import Metrics

MEDIA_TYPE = "text/plain; version=0.0.4"

Sample = tuple[Mapping[str, str], float]


def text(found: Metrics) -> str:
    """Every metric with its samples. What one process counts names the process, so that others' counts stay apart."""
    process, pool, database = {"process": found.process.id}, found.pool, found.database
    families = [
        _family("process_info", "gauge", "The process that answered.", [(process, 1)]),
        _family(
            "process_started_timestamp_seconds",
            "gauge",
            "When the process that answered started.",
            [(process, found.process.started_at.timestamp())],
        ),
        _family(
            "pool_connections",
            "gauge",
            "Connections to the database, by state.",
            [(process | {"state": "idle"}, pool.idle), (process | {"state": "busy"}, pool.open - pool.idle)],
        ),
        _family("pool_size", "gauge", "Connections the process may have.", [(process, pool.size)]),
        _family("pool_waiting", "gauge", "Requests that wait for a connection.", [(process, pool.waiting)]),
        _family(
            "requests_total",
            "counter",
            "Requests, by route and status.",
            [
                (process | {"route": route.route, "status": status}, count)
                for route in found.routes
                for status, count in route.statuses.items()
            ],
        ),
        _durations(found, process),
        _family(
            "refusals_total",
            "counter",
            "Requests refused, by the problem's code.",
            [(process | {"code": code}, count) for code, count in found.refusals.items()],
        ),
        _family("database_bytes", "gauge", "Size of the database.", [({}, database.bytes)]),
        _family("table_bytes", "gauge", "Size of a table.", [({"table": t.table}, t.bytes) for t in database.tables]),
        _family(
            "table_rows",
            "gauge",
            "Rows of a table, estimated.",
            [({"table": t.table}, t.rows) for t in database.tables if t.rows >= 0],
        ),
        _family(
            "failed_sign_ins",
            "gauge",
            "Sign-ins refused within the last hour and day.",
            [
                ({"reason": failed.reason, "within": within}, count)
                for failed in database.failed_sign_ins
                for within, count in (("1h", failed.last_hour), ("1d", failed.last_day))
            ],
        ),
        _family(
            "sessions",
            "gauge",
            "Sessions, by state and age.",
            [({"state": s.state, "age": s.age}, s.count) for s in database.sessions],
        ),
        _family(
            "tokens",
            "gauge",
            "Personal access tokens, by state and age.",
            [({"state": t.state, "age": t.age}, t.count) for t in database.tokens],
        ),
        _family("mail", "gauge", "Messages, by state.", [({"state": m.state}, m.count) for m in database.mail]),
        _family(
            "mail_oldest_queued_seconds",
            "gauge",
            "How long the oldest message in the queue has been waiting.",
            [({}, database.oldest_queued_mail_seconds or 0)],
        ),
        _family(
            "challenges",
            "gauge",
            "Single-use tokens, by kind and state.",
            [({"kind": c.kind, "state": c.state}, c.count) for c in database.challenges],
        ),
        _family(
            "quota_used",
            "gauge",
            "Units used in the present window.",
            [({"metric": q.metric}, q.used) for q in database.quotas],
        ),
        _family(
            "quota_users",
            "gauge",
            "Users who used any in the present window.",
            [({"metric": q.metric}, q.users) for q in database.quotas],
        ),
        _family(
            "statement_seconds_total",
            "counter",
            "Time spent in the slowest statements.",
            [({"statement": s.id}, s.total_seconds) for s in database.slowest_statements or ()],
        ),
    ]
    return "".join(families)


def _durations(found: Metrics, process: Mapping[str, str]) -> str:
    name = "jobtrail_request_seconds"
    lines = [f"# HELP {name} How long requests took.\n# TYPE {name} histogram\n"]
    for route in found.routes:
        labels = {**process, "route": route.route}
        lines += [_sample(f"{name}_bucket", labels | {"le": bound}, n) for bound, n in route.within.items()]
        lines.append(_sample(f"{name}_sum", labels, route.seconds))
        lines.append(_sample(f"{name}_count", labels, route.within["+Inf"]))
    return "".join(lines)


def _family(name: str, kind: str, what: str, samples: Iterable[Sample]) -> str:
    name = f"jobtrail_{name}"
    head = f"# HELP {name} {what}\n# TYPE {name} {kind}\n"
    return head + "".join(_sample(name, labels, value) for labels, value in samples)


def _sample(name: str, labels: Mapping[str, str], value: float) -> str:
    shown = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
    return f"{name}{{{shown}}} {value!r}\n" if shown else f"{name} {value!r}\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
