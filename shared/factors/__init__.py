"""Second factors: an authenticator app, recovery codes, and proving anew who one is."""

from shared.factors.models import Confirmation, Factors, FreshToken, Proof, RecoveryCodes, SecondStep, TotpSetup
from shared.factors.queries import HELD
from shared.factors.service import (
    SecondFactorInvalid,
    SecondFactorNeeded,
    TotpNotEnabled,
    TotpNotOffered,
    disable_totp,
    enable_totp,
    finish_sign_in,
    get_factors,
    offer_totp,
    reauthenticate,
    replace_recovery_codes,
)

__all__ = [
    "HELD",
    "Confirmation",
    "Factors",
    "FreshToken",
    "Proof",
    "RecoveryCodes",
    "SecondFactorInvalid",
    "SecondFactorNeeded",
    "SecondStep",
    "TotpNotEnabled",
    "TotpNotOffered",
    "TotpSetup",
    "disable_totp",
    "enable_totp",
    "finish_sign_in",
    "get_factors",
    "offer_totp",
    "reauthenticate",
    "replace_recovery_codes",
]
