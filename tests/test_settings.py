"""Settings: read once, checked at start, and silent about what they hold."""

from collections.abc import Iterator

import pytest

from shared import settings
from shared.settings import SettingsError

GOOD = {"DATABASE_URL": "postgresql://u:hunter2@h/d", "JWT_SECRET": "0123456789abcdef0123456789abcdef"}
NAMES = [name.upper() for name in settings.Settings.model_fields]


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """An environment with the required settings only; what is read from it is forgotten afterwards."""
    for name in (*NAMES, "WEBSITE_INSTANCE_ID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)
    settings.current.cache_clear()
    yield monkeypatch
    settings.current.cache_clear()


def test_the_two_required_settings_are_enough(environment: pytest.MonkeyPatch) -> None:
    config = settings.current()
    assert config.access_token_seconds == 900
    assert (config.login_limit_account.hits, config.login_limit_account.seconds) == (10, 300)
    assert config.refresh_grace_seconds == 10


@pytest.mark.parametrize("name", ["DATABASE_URL", "JWT_SECRET"])
def test_a_missing_required_setting_is_named(environment: pytest.MonkeyPatch, name: str) -> None:
    environment.delenv(name)
    with pytest.raises(SettingsError, match=name):
        settings.current()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("JWT_SECRET", "thirty-one bytes are not enough"),
        ("JWT_SECRET_PREVIOUS", "short"),
        ("REFRESH_GRACE_SECONDS", "61"),
        ("REFRESH_GRACE_SECONDS", "-1"),
        ("REFRESH_GRACE_SECONDS", "ten"),
        ("ACCESS_TOKEN_SECONDS", "59"),
        ("SESSION_IDLE_DAYS", "91"),
        ("LOGIN_LIMIT_ACCOUNT", "10"),
        ("LOGIN_LIMIT_ACCOUNT", "0/300"),
        ("LOGIN_LIMIT_ADDRESS", "ten/300"),
        ("LOGIN_LIMIT_TOTAL", "10/-1"),
        ("ALLOWED_ORIGINS", "*"),
        ("ALLOWED_ORIGINS", "app.example.com"),
        ("ALLOWED_ORIGINS", "https://app.example.com/path"),
        ("ALLOWED_ORIGINS", "https://*.example.com"),
        ("TRUSTED_PROXY_HOPS", "11"),
        ("PASSWORD_MIN_LENGTH", "7"),
        ("DATABASE_POOL_SIZE", "0"),
        ("OAUTH_GOOGLE_CLIENT_ID", "an id without its secret"),
        ("OAUTH_GITHUB_CLIENT_SECRET", "a secret without its id"),
        ("OAUTH_MICROSOFT_TENANT", "contoso.example"),
        ("OAUTH_GITHUB_BASE_URL", "http://github.example.com"),
        ("OAUTH_CALLBACK_BASE_URL", "http://api.example.com"),
        ("OAUTH_CALLBACK_BASE_URL", "api.example.com"),
        ("OAUTH_CALLBACK_BASE_URL", "https://api.example.com/?a=b"),
        ("OAUTH_CALLBACK_BASE_URL", "https://user@api.example.com"),
        ("APP_URL", "http://app.example.com"),
        ("APP_URL", "app.example.com"),
        ("APP_URL", "https://app.example.com?next="),
        ("APP_URL", "https://app.example.com#top"),
        ("APP_URL", "https://ada:hunter2@app.example.com"),
        ("APP_URL", 'https://app.example.com/"><script>'),
        ("PASSKEY_RP_ID", "https://example.com"),
        ("PASSKEY_RP_ID", "Example.com"),
        ("PASSKEY_RP_ID", "com"),
        ("PASSKEY_RP_ID", "192.0.2.1"),
        ("PASSKEY_RP_ID", "example.com"),  # where neither APP_URL nor an allowed origin is under it
        ("PASSKEY_LIMIT_ADDRESS", "0/300"),
        ("MAIL_SENDER", "pigeon"),
        ("MAIL_FROM", "Jobtrail"),
        ("MAIL_FROM", "Jobtrail <no-reply@example.com>, eve@example.com"),
        ("MAIL_FROM", "Jobtrail <no-reply@example.com>\r\nBcc: eve@example.com"),
        ("SMTP_URL", "smtp.example.com:587"),
        ("SMTP_URL", "smtp://ada:hunter2@"),
        ("SMTP_URL", "smtp://ada:hunter2@smtp.example.com:587?starttls=no"),
        ("SMTP_URL", "smtp://smtp.example.com?tls=yes"),
        ("ACS_ENDPOINT", "http://jobtrail.communication.azure.com"),
    ],
)
def test_a_setting_that_will_not_do_is_named_and_its_value_is_not_shown(
    environment: pytest.MonkeyPatch, name: str, value: str
) -> None:
    environment.setenv(name, value)
    with pytest.raises(SettingsError) as refusal:
        settings.current()
    assert name in str(refusal.value)
    assert "hunter2" not in str(refusal.value)
    assert GOOD["JWT_SECRET"] not in str(refusal.value)
    if "SECRET" in name:
        assert value not in str(refusal.value)


@pytest.mark.parametrize(
    ("domain", "origin"),
    [
        ("example.com", "https://example.com"),
        ("example.com", "https://a.b.example.com:8443"),
        ("a.test", "https://a.test"),
    ],
)
def test_passkeys_may_belong_to_a_domain_above_the_pages(
    environment: pytest.MonkeyPatch, domain: str, origin: str
) -> None:
    environment.setenv("PASSKEY_RP_ID", domain)
    environment.setenv("ALLOWED_ORIGINS", origin)
    assert settings.current().passkey_rp_id == domain


def test_passkeys_do_not_belong_to_a_domain_that_only_ends_alike(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("PASSKEY_RP_ID", "example.com")
    environment.setenv("ALLOWED_ORIGINS", "https://evilexample.com")
    with pytest.raises(SettingsError, match="PASSKEY_RP_ID"):
        settings.current()


def test_an_empty_setting_is_as_good_as_none(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("ALLOWED_ORIGINS", "")
    environment.setenv("JWT_PRIVATE_KEYS", "")
    assert settings.current().allowed_origins == ()


def test_origins_are_told_apart(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("ALLOWED_ORIGINS", "https://a.example.com, http://localhost:5173,")
    assert settings.current().allowed_origins == ("https://a.example.com", "http://localhost:5173")


def on_azure(environment: pytest.MonkeyPatch) -> None:
    """An environment with what Azure needs."""
    environment.setenv("WEBSITE_INSTANCE_ID", "an instance")
    environment.setenv("TRUSTED_PROXY_HOPS", "1")
    environment.setenv("MAIL_SENDER", "acs")
    environment.setenv("MAIL_FROM", "no-reply@example.com")
    environment.setenv("ACS_ENDPOINT", "https://jobtrail.communication.azure.com")
    environment.setenv("APP_URL", "https://app.example.com")
    environment.setenv("FILE_STORE", "azure")
    environment.setenv("FILE_ACCOUNT_URL", "https://jobtrail.blob.core.windows.net")


def test_on_azure_files_must_outlive_the_instance(environment: pytest.MonkeyPatch) -> None:
    on_azure(environment)
    environment.setenv("FILE_STORE", "folder")
    with pytest.raises(SettingsError, match="FILE_STORE must be azure on Azure"):
        settings.current()
    environment.setenv("FILE_STORE", "azure")
    environment.setenv("FILE_SCANNER", "eicar")
    with pytest.raises(SettingsError, match="FILE_SCANNER must be none or defender on Azure"):
        settings.current()


def test_blob_storage_is_reached_in_one_way(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("FILE_STORE", "azure")
    with pytest.raises(SettingsError, match="FILE_ACCOUNT_URL and FILE_CONNECTION_STRING"):
        settings.current()
    environment.setenv("FILE_CONNECTION_STRING", "UseDevelopmentStorage=true")
    assert settings.current().file_store == "azure"
    settings.current.cache_clear()
    environment.setenv("FILE_ACCOUNT_URL", "https://jobtrail.blob.core.windows.net")
    with pytest.raises(SettingsError, match="FILE_ACCOUNT_URL and FILE_CONNECTION_STRING"):
        settings.current()


def test_defender_scans_blobs_only(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("FILE_SCANNER", "defender")
    with pytest.raises(SettingsError, match="FILE_STORE must be azure"):
        settings.current()


def test_on_azure_mail_must_leave_the_machine(environment: pytest.MonkeyPatch) -> None:
    on_azure(environment)
    assert settings.current().mail_sender == "acs"
    settings.current.cache_clear()
    environment.delenv("MAIL_SENDER")
    with pytest.raises(SettingsError, match="MAIL_SENDER must be smtp or acs on Azure"):
        settings.current()


def test_on_azure_links_must_lead_to_the_front_end(environment: pytest.MonkeyPatch) -> None:
    on_azure(environment)
    environment.delenv("APP_URL")
    with pytest.raises(SettingsError, match="APP_URL"):
        settings.current()


@pytest.mark.parametrize("missing", ["ACS_ENDPOINT", "MAIL_FROM"])
def test_a_sender_needs_its_settings(environment: pytest.MonkeyPatch, missing: str) -> None:
    on_azure(environment)
    environment.delenv(missing)
    with pytest.raises(SettingsError, match=missing):
        settings.current()


def test_mail_may_go_unencrypted_to_this_machine_only(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("SMTP_URL", "smtp://127.0.0.1:1025?starttls=no")
    environment.setenv("APP_URL", "http://localhost:5173/")
    assert settings.current().app_url == "http://localhost:5173"


def test_on_azure_somebody_must_be_trusted_about_addresses(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("WEBSITE_INSTANCE_ID", "an instance")
    with pytest.raises(SettingsError, match="TRUSTED_PROXY_HOPS"):
        settings.current()
    on_azure(environment)
    assert settings.current().trusted_proxy_hops == 1


def test_on_azure_no_page_is_fetched_from_private_addresses(environment: pytest.MonkeyPatch) -> None:
    on_azure(environment)
    assert not settings.current().capture_allow_private
    settings.current.cache_clear()
    environment.setenv("CAPTURE_ALLOW_PRIVATE", "true")
    with pytest.raises(SettingsError, match="CAPTURE_ALLOW_PRIVATE"):
        settings.current()


def test_secrets_do_not_show_when_settings_are_printed(environment: pytest.MonkeyPatch) -> None:
    shown = repr(settings.current())
    assert "hunter2" not in shown
    assert GOOD["JWT_SECRET"] not in shown


@pytest.mark.parametrize("provider", ["GOOGLE", "GITHUB", "MICROSOFT"])
def test_a_provider_needs_an_address_to_send_browsers_back_to(environment: pytest.MonkeyPatch, provider: str) -> None:
    environment.setenv(f"OAUTH_{provider}_CLIENT_ID", "an id")
    environment.setenv(f"OAUTH_{provider}_CLIENT_SECRET", "its secret")
    with pytest.raises(SettingsError, match="OAUTH_CALLBACK_BASE_URL"):
        settings.current()
    environment.setenv("OAUTH_CALLBACK_BASE_URL", "https://api.example.com/")
    settings.current.cache_clear()
    assert settings.current().oauth_callback_base_url == "https://api.example.com"
    assert "its secret" not in repr(settings.current())
