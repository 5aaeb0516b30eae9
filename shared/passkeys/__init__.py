"""Passkeys: keys on people's devices that sign them in, and prove anew who they are.

For a second factor, or a fresh proof of who somebody is (the options come from ``begin_sign_in()``):

    proof = await passkeys.examine(assertion, user_id=..., guards=[...])     # spends the challenge, verifies
    SELECT ... use_passkey(%(passkey_id)s, %(passkey_sign_count)s, %(passkey_is_backed_up)s)   # **proof.params()

``use_passkey()`` gives the owner's id, or NULL: then it proves nothing after all. ``prove()`` does both.
"""

from shared.passkeys.models import (
    Assertion,
    CreationOptions,
    Passkey,
    PasskeyChanges,
    PasskeyLogin,
    PasskeyRegistration,
    Passkeys,
    Proof,
    RequestOptions,
    SignInOptionsRequest,
)
from shared.passkeys.queries import HELD
from shared.passkeys.service import (
    ChallengeInvalid,
    PasskeyInvalid,
    PasskeyRefused,
    PasskeyRegistered,
    TooManyPasskeys,
    begin_registration,
    begin_sign_in,
    examine,
    list_passkeys,
    login,
    register,
    remove,
    rename,
)

__all__ = [
    "HELD",
    "Assertion",
    "ChallengeInvalid",
    "CreationOptions",
    "Passkey",
    "PasskeyChanges",
    "PasskeyInvalid",
    "PasskeyLogin",
    "PasskeyRefused",
    "PasskeyRegistered",
    "PasskeyRegistration",
    "Passkeys",
    "Proof",
    "RequestOptions",
    "SignInOptionsRequest",
    "TooManyPasskeys",
    "begin_registration",
    "begin_sign_in",
    "examine",
    "list_passkeys",
    "login",
    "register",
    "remove",
    "rename",
]
