import json
from pathlib import Path

import pytest

from local.project import HostJson, LocalSettings, Refusal, host_json, local_settings


def test_missing_files_mean_the_hosts_defaults(tmp_path: Path) -> None:
    assert host_json(tmp_path) == HostJson(route_prefix="api", custom_headers={}, function_timeout=None)
    assert local_settings(tmp_path) == LocalSettings(values={}, cors=(), cors_credentials=False, port=7071)


def test_host_json_is_read(tmp_path: Path) -> None:
    http = {"routePrefix": "/v1/", "customHeaders": {"X-Frame-Options": "DENY"}}
    (tmp_path / "host.json").write_text(json.dumps({"functionTimeout": "00:10:30", "extensions": {"http": http}}))
    assert host_json(tmp_path) == HostJson("v1", {"X-Frame-Options": "DENY"}, 630.0)


def test_a_function_timeout_of_minus_one_means_none(tmp_path: Path) -> None:
    (tmp_path / "host.json").write_text('{"functionTimeout": "-1"}')
    assert host_json(tmp_path).function_timeout is None


def test_local_settings_are_read_with_a_byte_order_mark(tmp_path: Path) -> None:
    content = {
        "IsEncrypted": False,
        "Values": {"A": "text", "B": 5, "C": True},
        "Host": {
            "CORS": "http://localhost:5173/, https://app.example.com",
            "CORSCredentials": True,
            "LocalHttpPort": 7072,
        },
    }
    (tmp_path / "local.settings.json").write_text(json.dumps(content), encoding="utf-8-sig")
    settings = local_settings(tmp_path)
    assert settings.values == {"A": "text", "B": "5", "C": "true"}
    assert settings.cors == ("http://localhost:5173", "https://app.example.com")
    assert settings.cors_credentials
    assert settings.port == 7072


def test_the_real_environment_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SET_TWICE", "environment")
    environment = LocalSettings({"SET_TWICE": "file", "SET_ONCE": "file"}).environment()
    assert (environment["SET_TWICE"], environment["SET_ONCE"]) == ("environment", "file")


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("host.json", "{", "host.json is not JSON"),
        ("host.json", "[]", "host.json must hold a JSON object"),
        ("host.json", '{"functionTimeout": "5 minutes"}', "functionTimeout must look like 00:05:00"),
        ("local.settings.json", "{", "local.settings.json is not JSON"),
        ("local.settings.json", '{"IsEncrypted": true}', "func settings decrypt"),
        ("local.settings.json", '{"Host": {"LocalHttpPort": "x"}}', "LocalHttpPort must be a number"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(tmp_path: Path, file: str, content: str, words: str) -> None:
    (tmp_path / file).write_text(content)
    with pytest.raises(Refusal, match=words):
        (host_json if file == "host.json" else local_settings)(tmp_path)
