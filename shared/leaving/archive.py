"""A copy of an account as a zip: each table as JSON and as CSV, and a manifest that says what is what."""

import hashlib
import io
import json
import zipfile
from collections.abc import Iterable, Mapping
from typing import Any

AS_FILE = {"Content-Disposition": 'attachment; filename="jobtrail.zip"'}

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What makes a spreadsheet program calculate instead of show (OWASP, "CSV Injection")."""

NOTE = (
    "Everything that this account holds. The JSON files are exact. In the CSV files lists and objects are written as "
    "JSON, and a text that a spreadsheet would take for a formula has an apostrophe before it. The files that were "
    "uploaded are in files/, under their ids and names."
)


def pack(
    tables: Mapping[str, str],
    contents: Mapping[str, bytes],
    *,
    schema: str,
    made_at: str,
    account: str,
    left_out: Mapping[str, str],
) -> bytes:
    """The zip of ``tables`` (a JSON array of rows for each name) and of the files themselves.

    ``left_out`` names the tables of which there is nothing in it, and why. ``schema`` is the database's revision.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        files: list[dict[str, Any]] = []

        def add(name: str, content: bytes, rows: int | None = None) -> None:
            archive.writestr(name, content)
            digest = hashlib.sha256(content).hexdigest()
            counted = {} if rows is None else {"rows": rows}
            files.append({"name": name, **counted, "bytes": len(content), "sha256": digest})

        for name, text in tables.items():
            rows = json.loads(text)
            add(f"{name}.json", text.encode(), len(rows))
            add(f"{name}.csv", as_csv(rows), len(rows))
        for name, content in contents.items():
            add(name, content)
        manifest = {
            "account_id": account,
            "made_at": made_at,
            "schema_version": schema,
            "note": NOTE,
            "files": files,
            "left_out": left_out,
        }
        archive.writestr("manifest.json", json.dumps(manifest, indent=2))
    return buffer.getvalue()


def as_csv(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """Rows as RFC 4180 has them, with a byte order mark, without which Excel takes UTF-8 for something else."""
    import csv  # few requests need it

    text = io.StringIO(newline="")
    writer = None
    for row in rows:
        if writer is None:
            writer = csv.DictWriter(text, fieldnames=list(row))
            writer.writeheader()
        writer.writerow({name: _cell(value) for name, value in row.items()})
    return ("\ufeff" + text.getvalue()).encode()


def _cell(value: Any) -> Any:
    if isinstance(value, dict | list | bool):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, str) and value.startswith(FORMULA):
        return "'" + value
    return value
