"""Sealing: what was sealed opens unaltered, for its own purpose and owner and under its own key, and not otherwise."""

import secrets
from base64 import b64encode
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st

from shared import settings
from shared.security import sealing
from shared.security.sealing import SealBroken, open_sealed, seal
from shared.settings import SettingsError
from tests.conftest import SECRET

Configure = Callable[..., None]
SECRET_TEXT = b"JBSWY3DPEHPK3PXP"


def new_key(key_id: str) -> str:
    return f"{key_id}:{b64encode(secrets.token_bytes(32)).decode()}"


@given(plaintext=st.binary(max_size=300), purpose=st.text(min_size=1), owner=st.text())
@pytest.mark.usefixtures("environment")
def test_what_was_sealed_opens(plaintext: bytes, purpose: str, owner: str) -> None:
    assert open_sealed(purpose, seal(purpose, plaintext, bound_to=owner), bound_to=owner) == plaintext


@pytest.mark.usefixtures("environment")
def test_a_sealed_value_shows_nothing_and_never_comes_out_the_same_twice() -> None:
    sealed = {seal("totp", SECRET_TEXT) for _ in range(50)}
    assert len(sealed) == 50
    assert not any(SECRET_TEXT in each for each in sealed)


@pytest.mark.usefixtures("environment")
def test_no_bit_of_a_sealed_value_can_be_flipped() -> None:
    sealed = seal("totp", SECRET_TEXT, bound_to="ada")
    for position in range(len(sealed) * 8):
        altered = bytearray(sealed)
        altered[position // 8] ^= 1 << position % 8
        with pytest.raises(SealBroken):
            open_sealed("totp", bytes(altered), bound_to="ada")


@pytest.mark.usefixtures("environment")
def test_no_part_of_a_sealed_value_opens_nor_one_with_more_to_it() -> None:
    sealed = seal("totp", SECRET_TEXT)
    for other in [*(sealed[:length] for length in range(len(sealed))), sealed + b"\0", sealed * 2]:
        with pytest.raises(SealBroken):
            open_sealed("totp", other)


@given(sealed=st.binary(max_size=200))
@pytest.mark.usefixtures("environment")
def test_what_was_never_sealed_does_not_open(sealed: bytes) -> None:
    for made_up in (sealed, sealing.sealing_keys()[0].header + sealed):
        with pytest.raises(SealBroken):
            open_sealed("totp", made_up)


@pytest.mark.usefixtures("environment")
def test_what_is_sealed_for_one_purpose_does_not_open_for_another() -> None:
    sealed = seal("totp", SECRET_TEXT)
    for purpose in ("mail", "totp ", "TOTP", "tot", ""):
        with pytest.raises(SealBroken):
            open_sealed(purpose, sealed)


@pytest.mark.usefixtures("environment")
def test_what_is_bound_to_one_owner_does_not_open_for_another() -> None:
    sealed = seal("totp", SECRET_TEXT, bound_to="ada")
    for owner in ("grace", "", "ad", "adaa"):
        with pytest.raises(SealBroken):
            open_sealed("totp", sealed, bound_to=owner)
    with pytest.raises(SealBroken):
        open_sealed("totp", seal("totp", SECRET_TEXT), bound_to="ada")


def test_it_is_aes_256_gcm_under_a_key_of_hkdf(configure: Configure) -> None:
    """Opened here by hand, from what the module's documentation says and nothing else."""
    key = secrets.token_bytes(32)
    configure(SEALING_KEYS=f"k1:{b64encode(key).decode()}")
    sealed = seal("totp", SECRET_TEXT, bound_to="ada")
    header, nonce, ciphertext = sealed[:4], sealed[4:16], sealed[16:]
    assert header == b"\x01\x02k1"
    derived = HKDF(SHA256(), length=32, salt=None, info=b"jobtrail sealing v1 totp").derive(key)
    assert AESGCM(derived).decrypt(nonce, ciphertext, b"\x01\x02k1ada") == SECRET_TEXT


# ---------------------------------------------------------------- keys and their change


def test_the_first_key_seals_and_all_open_until_they_are_taken_away(configure: Configure) -> None:
    old, new = new_key("old"), new_key("new")
    configure(SEALING_KEYS=old)
    sealed = seal("totp", SECRET_TEXT)
    assert not sealing.is_outdated(sealed)
    configure(SEALING_KEYS=f" {new} , {old} ,")
    assert open_sealed("totp", sealed) == SECRET_TEXT
    assert sealing.is_outdated(sealed)
    assert not sealing.is_outdated(seal("totp", SECRET_TEXT))
    configure(SEALING_KEYS=new)
    assert sealing.is_outdated(sealed)
    with pytest.raises(SealBroken):
        open_sealed("totp", sealed)


def test_another_key_of_the_same_id_opens_nothing(configure: Configure) -> None:
    configure(SEALING_KEYS=new_key("k"))
    sealed = seal("totp", SECRET_TEXT)
    configure(SEALING_KEYS=new_key("k"))
    with pytest.raises(SealBroken):
        open_sealed("totp", sealed)


def test_without_sealing_keys_jwt_secret_seals_and_the_one_before_it_opens(configure: Configure) -> None:
    sealed = seal("totp", SECRET_TEXT)
    configure(JWT_SECRET="another secret, 48 bytes long as well, only newer", JWT_SECRET_PREVIOUS=SECRET)
    assert open_sealed("totp", sealed) == SECRET_TEXT
    assert sealing.is_outdated(sealed)
    configure(JWT_SECRET_PREVIOUS="")
    with pytest.raises(SealBroken):
        open_sealed("totp", sealed)


def test_setting_sealing_keys_loses_nothing_that_was_sealed_without_them(configure: Configure) -> None:
    sealed = seal("totp", SECRET_TEXT)
    configure(SEALING_KEYS=new_key("first"))
    assert open_sealed("totp", sealed) == SECRET_TEXT
    assert sealing.is_outdated(sealed)


def test_once_sealing_keys_are_set_jwt_secret_may_be_changed_at_will(configure: Configure) -> None:
    configure(SEALING_KEYS=new_key("k"))
    sealed = seal("totp", SECRET_TEXT)
    configure(JWT_SECRET="an entirely different secret, known to nobody yet")
    assert open_sealed("totp", sealed) == SECRET_TEXT
    assert not sealing.is_outdated(sealed)


@pytest.mark.parametrize("name", ["SEALING_KEYS", "PASSWORD_PEPPER_KEYS", "PASSWORD_PEPPER_KEYS_PREVIOUS"])
@pytest.mark.parametrize(
    "keys",
    [
        "nonsense",
        b64encode(bytes(range(32))).decode(),
        ":" + b64encode(bytes(range(32))).decode(),
        "k:",
        "k:" + b64encode(bytes(range(31))).decode(),
        "k:" + b64encode(bytes(range(33))).decode(),
        "k:" + b64encode(bytes(range(32))).decode()[:-1],
        "k:" + b64encode(bytes(range(32))).decode() + "!",
        "k:" + b64encode(b"\0" * 32).decode(),
        "~k:" + b64encode(bytes(range(32))).decode(),
        "two words:" + b64encode(bytes(range(32))).decode(),
        "k" * 33 + ":" + b64encode(bytes(range(32))).decode(),
        f"{new_key('k')},{new_key('k')}",
        f"{new_key('k')},nonsense",
    ],
    ids=range(14),
)
def test_keys_that_will_not_do_are_refused_at_start_and_not_shown(configure: Configure, name: str, keys: str) -> None:
    configure(**{name: keys})
    with pytest.raises(SettingsError) as refusal:
        settings.current()
    assert str(refusal.value).startswith(f"{name}: must ")
    assert not any(len(part) > 8 and part in str(refusal.value) for part in keys.replace(",", ":").split(":"))


def test_keys_do_not_show_when_settings_are_printed(configure: Configure) -> None:
    key = new_key("k")
    configure(SEALING_KEYS=key)
    config = settings.current()
    shown = f"{config!r} {config} {config.model_dump_json()}"
    assert config.sealing_keys[0].id in shown
    assert key[2:] not in shown
    assert repr(config.sealing_keys[0].secret.get_secret_value()) not in shown
