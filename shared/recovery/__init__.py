"""Recovery: addresses proved by mail, passwords changed and reset."""

from shared.recovery.models import (
    ChangeEmailRequest,
    ChangePasswordRequest,
    ForgotPasswordRequest,
    ResetPasswordRequest,
    VerifyEmailRequest,
)
from shared.recovery.queries import HELD
from shared.recovery.service import (
    TokenInvalid,
    change_email,
    change_password,
    forgot_password,
    resend_verification,
    reset_password,
    verify_email,
)

__all__ = [
    "HELD",
    "ChangeEmailRequest",
    "ChangePasswordRequest",
    "ForgotPasswordRequest",
    "ResetPasswordRequest",
    "TokenInvalid",
    "VerifyEmailRequest",
    "change_email",
    "change_password",
    "forgot_password",
    "resend_verification",
    "reset_password",
    "verify_email",
]
