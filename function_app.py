"""Jobtrail: every route and every timer. What they do is in shared/, one folder a feature."""

from uuid import UUID

import azure.functions as func

from shared import (
    accounts,
    admin,
    applications,
    audit,
    factors,
    health,
    identities,
    leaving,
    mail,
    openapi,
    passkeys,
    quotas,
    recovery,
    retention,
    sessions,
    tokens,
    transfer,
)
from shared.access import anyone, fresh, member, member_or_token, role, scope
from shared.accounts import LastWayIn, Profile, ProfileChanges
from shared.admin import (
    AccountChanges,
    AdminQuota,
    Ending,
    Grant,
    LastAdmin,
    Metrics,
    MetricsQuery,
    UserDetails,
    UserQuery,
    UserSummary,
)
from shared.applications import Application, ApplicationChanges, ApplicationDraft, ApplicationQuery, Move
from shared.audit import Activity, ActivityQuery, AuditEvent, AuditQuery
from shared.db import AnyCaller, Caller
from shared.documents import Document, Page, Retry, Versions
from shared.errors import DatabaseUnavailable, IdempotencyKeyReused, NotFound, Overloaded, RateLimited, SessionEnded
from shared.fields import Accepted, PlainText
from shared.health import Health, NotReady, Readiness
from shared.http import OAUTH_COOKIE, AnyQuery, Call, Csv, Html, Json, Zip, endpoint
from shared.identities import Arrival, Departure, Identity, LinkBegun
from shared.passkeys import Passkey, Passkeys
from shared.quotas import Consumption, Quota, QuotaExceeded, Quotas, Reservation, ReservationRequest
from shared.routes import METHODS, App
from shared.security.keys import keyring
from shared.sessions import SecondFactorRequired, SignedIn, SignedOut
from shared.transfer import ExportQuery, Import, ImportQuery, ImportReport, ImportRequest, Undoing, UndoQuery

keyring()  # settings or keys that cannot be used are refused at start, not at the first request
app = App(http_auth_level=func.AuthLevel.ANONYMOUS)

FILES: dict[str, type[Csv] | type[Json]] = {"csv": Csv, "json": Json}

# ---------------------------------------------------------------- Health and reference


@app.route("health", methods=["GET"])
@endpoint(anyone)
async def get_health() -> Health:
    """Tell whether the app answers; nothing else is asked."""
    return await health.get_health()


@app.route("health/ready", methods=["GET"])
@endpoint(anyone, raises=(NotReady,))
async def get_readiness() -> Readiness:
    """Tell whether the database can be reached and has our schema."""
    return await health.get_readiness()


@app.route("api/openapi.json", methods=["GET"])
@endpoint(anyone, public_cache=300)
async def get_openapi() -> Json:
    """Describe this API in OpenAPI 3.1."""
    return openapi.document(app)


@app.route("api/docs", methods=["GET"])
@endpoint(anyone, public_cache=300)
async def get_reference() -> Html:
    """Show the API reference."""
    return openapi.reference()


# ---------------------------------------------------------------- Signing in and out


@app.route("api/auth/register", methods=["POST"])
@endpoint(anyone, status=201, raises=(sessions.EmailTaken, RateLimited, Overloaded))
async def register(body: sessions.RegisterRequest, call: Call) -> SignedIn | Accepted:
    """Make an account and sign it in.

    Where addresses must be verified first, the answer is 202 whether or not the address is taken, and mail says more.
    """
    return await sessions.register(body, device=call.device)


@app.route("api/auth/login", methods=["POST"])
@endpoint(anyone, raises=(sessions.InvalidCredentials, sessions.EmailNotVerified, RateLimited, Overloaded))
async def login(body: sessions.LoginRequest, call: Call) -> SignedIn | SecondFactorRequired:
    """Sign in with e-mail address and password."""
    return await sessions.login(body, device=call.device)


@app.route("api/auth/refresh", methods=["POST"])
@endpoint(
    anyone,
    accepts=("cookie",),
    raises=(sessions.RefreshTokenInvalid, sessions.RefreshTokenReused, sessions.SessionExpired, RateLimited),
)
async def refresh(body: sessions.RefreshRequest, call: Call) -> SignedIn:
    """Exchange a refresh token for the next pair."""
    return await sessions.refresh(call.presented(body.refresh_token), device=call.device)


@app.route("api/auth/logout", methods=["POST"])
@endpoint(anyone, accepts=("cookie", "bearer"), raises=(sessions.NoSession, sessions.RefreshTokenInvalid))
async def logout(body: sessions.LogoutRequest, call: Call) -> SignedOut:
    """End the session of a refresh token, or else of an access token."""
    return await sessions.logout(call.presented(body.refresh_token) or call.bearer(), device=call.device)


@app.route("api/auth/logout-all", methods=["POST"])
@endpoint(member)
async def logout_all(caller: Caller, body: sessions.LogoutAllRequest, call: Call) -> sessions.RevokedSessions:
    """End every session, or every other one."""
    return await sessions.logout_all(caller, body, device=call.device)


@app.route("api/auth/sessions", methods=["GET"])
@endpoint(member)
async def list_sessions(caller: Caller) -> Document[sessions.Sessions]:
    """List the devices the caller is signed in on."""
    return await sessions.list_sessions(caller)


@app.route("api/auth/sessions/{session_id:guid}", methods=["DELETE"])
@endpoint(member)
async def revoke_session(caller: Caller, session_id: UUID, call: Call) -> None:
    """End the session of one device."""
    return await sessions.revoke_session(caller, session_id, device=call.device)


# ---------------------------------------------------------------- Addresses and passwords


@app.route("api/auth/verify-email", methods=["POST"])
@endpoint(anyone, raises=(recovery.TokenInvalid, sessions.EmailTaken, RateLimited))
async def verify_email(body: recovery.VerifyEmailRequest, call: Call) -> None:
    """Prove an address by the token that was sent to it.

    The token of a change of address makes that change.
    """
    return await recovery.verify_email(body, device=call.device)


@app.route("api/auth/verify-email/resend", methods=["POST"])
@endpoint(member, raises=(RateLimited,))
async def resend_verification(caller: Caller, call: Call) -> Accepted:
    """Send the link that verifies the caller's address again."""
    return await recovery.resend_verification(caller, device=call.device)


@app.route("api/auth/forgot-password", methods=["POST"])
@endpoint(anyone, raises=(RateLimited,))
async def forgot_password(body: recovery.ForgotPasswordRequest, call: Call) -> Accepted:
    """Send a link that sets a new password."""
    return await recovery.forgot_password(body, device=call.device)


@app.route("api/auth/reset-password", methods=["POST"])
@endpoint(anyone, raises=(recovery.TokenInvalid, RateLimited, Overloaded))
async def reset_password(body: recovery.ResetPasswordRequest, call: Call) -> None:
    """Set a new password by a token, and end every session."""
    return await recovery.reset_password(body, device=call.device)


@app.route("api/auth/change-password", methods=["POST"])
@endpoint(fresh, raises=(sessions.InvalidCredentials, RateLimited, Overloaded))
async def change_password(caller: Caller, body: recovery.ChangePasswordRequest, call: Call) -> None:
    """Change the caller's password, and end every other session."""
    return await recovery.change_password(caller, body, device=call.device)


@app.route("api/auth/change-email", methods=["POST"])
@endpoint(fresh, raises=(RateLimited,))
async def change_email(caller: Caller, body: recovery.ChangeEmailRequest, call: Call) -> Accepted:
    """Ask for another address, which takes effect when that one is proved."""
    return await recovery.change_email(caller, body, device=call.device)


# ---------------------------------------------------------------- What a token says


@app.route("api/auth/status", methods=["GET"])
@endpoint(member_or_token)
async def get_status(caller: AnyCaller) -> sessions.Status:
    """Tell whether the caller is signed in, and as whom."""
    return await sessions.get_status(caller)


@app.route("api/auth/verify", methods=["GET"])
@endpoint(member_or_token)
async def verify_token(caller: AnyCaller) -> sessions.Verification:
    """Verify a token on behalf of another service."""
    return await tokens.verify(caller)


@app.route("api/auth/jwt-info", methods=["GET"])
@endpoint(role("admin"))
async def get_jwt_info(caller: Caller) -> sessions.JwtInfo:
    """Tell how access tokens are signed; no part of a secret."""
    return await sessions.get_jwt_info(caller)


@app.route(".well-known/jwks.json", methods=["GET"])
@endpoint(anyone, public_cache=600)
async def get_jwks() -> sessions.JsonWebKeySet:
    """Publish the keys that verify access tokens."""
    return await sessions.get_jwks()


# ---------------------------------------------------------------- Second factors


@app.route("api/auth/login/mfa", methods=["POST"])
@endpoint(
    anyone,
    raises=(
        passkeys.ChallengeInvalid,
        passkeys.PasskeyInvalid,
        factors.SecondFactorInvalid,
        sessions.InvalidCredentials,
        sessions.EmailNotVerified,
        RateLimited,
    ),
)
async def finish_login(body: factors.SecondStep, call: Call) -> SignedIn:
    """Finish a sign-in with a second factor."""
    return await factors.finish_sign_in(body, device=call.device)


@app.route("api/auth/reauthenticate", methods=["POST"])
@endpoint(
    member,
    raises=(
        sessions.InvalidCredentials,
        passkeys.PasskeyInvalid,
        factors.SecondFactorInvalid,
        factors.SecondFactorNeeded,
        RateLimited,
        Overloaded,
    ),
)
async def reauthenticate(caller: Caller, body: factors.Proof, call: Call) -> factors.FreshToken:
    """Prove anew who one is, and get an access token that says so."""
    return await factors.reauthenticate(caller, body, device=call.device)


@app.route("api/auth/mfa", methods=["GET"])
@endpoint(member)
async def get_factors(caller: Caller) -> Document[factors.Factors]:
    """Tell which second factors are on."""
    return await factors.get_factors(caller)


@app.route("api/auth/mfa/totp", methods=["POST"])
@endpoint(fresh, raises=(sessions.EmailNotVerified,))
async def offer_totp(caller: Caller, call: Call) -> factors.TotpSetup:
    """Begin to set up an authenticator app."""
    return await factors.offer_totp(caller, device=call.device)


@app.route("api/auth/mfa/totp/confirm", methods=["POST"])
@endpoint(fresh, raises=(factors.TotpNotOffered,))
async def enable_totp(caller: Caller, body: factors.Confirmation, call: Call) -> factors.RecoveryCodes:
    """Turn the authenticator app on, by a code it shows."""
    return await factors.enable_totp(caller, body, device=call.device)


@app.route("api/auth/mfa/totp", methods=["DELETE"])
@endpoint(fresh, raises=(NotFound,))
async def disable_totp(caller: Caller, call: Call) -> None:
    """Turn the authenticator app off, and its recovery codes."""
    return await factors.disable_totp(caller, device=call.device)


@app.route("api/auth/mfa/recovery-codes", methods=["POST"])
@endpoint(fresh, raises=(factors.TotpNotEnabled,))
async def replace_recovery_codes(caller: Caller, call: Call) -> factors.RecoveryCodes:
    """Replace the recovery codes by a new set."""
    return await factors.replace_recovery_codes(caller, device=call.device)


# ---------------------------------------------------------------- Passkeys


@app.route("api/auth/passkeys/login/options", methods=["POST"])
@endpoint(anyone, accepts=("bearer",), raises=(passkeys.ChallengeInvalid, SessionEnded, RateLimited))
async def begin_passkey_login(body: passkeys.SignInOptionsRequest, call: Call) -> passkeys.RequestOptions:
    """Begin signing in with a passkey.

    With the challenge of a sign-in that wants a second factor, or an access token, for a passkey of that account only.
    """
    return await passkeys.begin_sign_in(body, caller=call.bearer(), device=call.device)


@app.route("api/auth/passkeys/login", methods=["POST"])
@endpoint(anyone, raises=(passkeys.PasskeyInvalid, sessions.EmailNotVerified, RateLimited))
async def login_with_passkey(body: passkeys.PasskeyLogin, call: Call) -> SignedIn:
    """Sign in with a passkey, and nothing else."""
    return await passkeys.login(body, device=call.device)


@app.route("api/auth/passkeys/register/options", methods=["POST"])
@endpoint(fresh, raises=(sessions.EmailNotVerified,))
async def begin_passkey_registration(caller: Caller) -> passkeys.CreationOptions:
    """Begin adding a passkey to the account."""
    return await passkeys.begin_registration(caller)


@app.route("api/auth/passkeys/register", methods=["POST"])
@endpoint(fresh, status=201, raises=(passkeys.PasskeyRefused, passkeys.PasskeyRegistered, passkeys.TooManyPasskeys))
async def register_passkey(caller: Caller, body: passkeys.PasskeyRegistration, call: Call) -> Document[Passkey]:
    """Add a passkey to the account."""
    return await passkeys.register(caller, body, device=call.device)


@app.route("api/auth/passkeys", methods=["GET"])
@endpoint(member)
async def list_passkeys(caller: Caller) -> Document[Passkeys]:
    """List the account's passkeys."""
    return await passkeys.list_passkeys(caller)


@app.route("api/auth/passkeys/{passkey_id:guid}", methods=["PATCH"])
@endpoint(member)
async def rename_passkey(
    caller: Caller, passkey_id: UUID, body: passkeys.PasskeyChanges, versions: Versions
) -> Document[Passkey]:
    """Call a passkey something else."""
    return await passkeys.rename(caller, passkey_id, body, versions=versions)


@app.route("api/auth/passkeys/{passkey_id:guid}", methods=["DELETE"])
@endpoint(fresh, raises=(LastWayIn,))
async def delete_passkey(caller: Caller, passkey_id: UUID, versions: Versions, call: Call) -> None:
    """Take a passkey away; never the last way into the account."""
    return await passkeys.remove(caller, passkey_id, versions=versions, device=call.device)


# ---------------------------------------------------------------- Google, GitHub, Microsoft


@app.route("api/auth/oauth/{provider}/start", methods=["GET"])
@endpoint(anyone, raises=(RateLimited, DatabaseUnavailable))
async def start_oauth(provider: str, query: identities.StartQuery, call: Call) -> Departure:
    """Go to a provider to sign in there."""
    return await identities.start(provider, query, browser=call.cookie(OAUTH_COOKIE), device=call.device)


@app.route("api/auth/oauth/{provider}/callback", methods=["GET"])
@endpoint(
    anyone,
    raises=(
        identities.OAuthStateInvalid,
        identities.OAuthDenied,
        identities.OAuthFailed,
        identities.ProviderUnavailable,
        identities.OAuthEmailMissing,
        identities.LinkRequired,
        identities.IdentityTaken,
        identities.ProviderLinked,
        sessions.InvalidCredentials,
        sessions.EmailNotVerified,
        RateLimited,
        DatabaseUnavailable,
    ),
)
async def finish_oauth(
    provider: str, query: identities.CallbackQuery, call: Call
) -> SignedIn | SecondFactorRequired | Identity | Arrival:
    """Come back from a provider, and be signed in or linked."""
    return await identities.finish(provider, query, browser=call.cookie(OAUTH_COOKIE), device=call.device)


@app.route("api/auth/identities", methods=["GET"])
@endpoint(member)
async def list_identities(caller: Caller) -> Document[identities.Identities]:
    """List who the caller is at other providers."""
    return await identities.list_identities(caller)


@app.route("api/auth/identities/{provider}/link", methods=["POST"])
@endpoint(fresh)
async def link_identity(caller: Caller, provider: str, body: identities.LinkRequest, call: Call) -> LinkBegun:
    """Begin to link a provider to the caller's account."""
    return await identities.begin_linking(caller, provider, body, browser=call.cookie(OAUTH_COOKIE))


@app.route("api/auth/identities/{provider}", methods=["DELETE"])
@endpoint(fresh, raises=(identities.LastWayIn,))
async def unlink_identity(caller: Caller, provider: str, call: Call) -> None:
    """Forget who the caller is at a provider."""
    return await identities.unlink(caller, provider, device=call.device)


# ---------------------------------------------------------------- Personal access tokens


@app.route("api/tokens", methods=["GET"])
@endpoint(member)
async def list_tokens(caller: Caller) -> Document[tokens.PersonalAccessTokens]:
    """List the caller's personal access tokens that are good."""
    return await tokens.list_tokens(caller)


@app.route("api/tokens", methods=["POST"])
@endpoint(fresh, status=201, raises=(tokens.TooManyTokens,))
async def create_token(caller: Caller, body: tokens.TokenRequest, call: Call) -> tokens.NewToken:
    """Make a personal access token; no other answer shows it.

    There is no `Idempotency-Key` here, since a kept answer would hold the secret. Who lost the answer revokes the token
    that was never used, and makes another.
    """
    return await tokens.create_token(caller, body, device=call.device)


@app.route("api/tokens/{token_id:guid}", methods=["DELETE"])
@endpoint(member)
async def revoke_token(caller: Caller, token_id: UUID, call: Call) -> None:
    """Revoke a personal access token."""
    return await tokens.revoke_token(caller, token_id, device=call.device)


# ---------------------------------------------------------------- Profile


@app.route("api/profile", methods=["GET"])
@endpoint(scope("profile:read"))
async def get_profile(caller: AnyCaller) -> Document[Profile]:
    """Read the caller's profile."""
    return await accounts.get_profile(caller)


@app.route("api/profile", methods=["PATCH"])
@endpoint(scope("profile:write"))
async def update_profile(caller: AnyCaller, body: ProfileChanges, versions: Versions) -> Document[Profile]:
    """Change the caller's profile."""
    return await accounts.update_profile(caller, body, versions=versions)


@app.route("api/account/activity", methods=["GET"])
@endpoint(member)
async def list_activity(caller: Caller, query: ActivityQuery) -> Page[Activity]:
    """List what happened to the caller's account, newest first."""
    return await audit.list_activity(caller, query)


# ---------------------------------------------------------------- Applications


@app.route("api/applications", methods=["GET"])
@endpoint(scope("applications:read"))
async def list_applications(caller: AnyCaller, query: ApplicationQuery) -> Page[Application]:
    """List applications, a page at a time."""
    return await applications.list_applications(caller, query)


@app.route("api/applications", methods=["POST"])
@endpoint(scope("applications:write"), status=201, location="/api/applications/{id}")
async def create_application(caller: AnyCaller, body: ApplicationDraft, retry: Retry | None) -> Document[Application]:
    """Write an application down."""
    return await applications.create_application(caller, body, retry=retry)


@app.route("api/applications/{application_id:guid}", methods=["GET"])
@endpoint(scope("applications:read"))
async def get_application(caller: AnyCaller, application_id: UUID) -> Document[Application]:
    """Read an application."""
    return await applications.get_application(caller, application_id)


@app.route("api/applications/{application_id:guid}", methods=["PATCH"])
@endpoint(scope("applications:write"))
async def update_application(
    caller: AnyCaller, application_id: UUID, body: ApplicationChanges, versions: Versions
) -> Document[Application]:
    """Change an application; what is left out stays."""
    return await applications.update_application(caller, application_id, body, versions=versions)


@app.route("api/applications/{application_id:guid}", methods=["DELETE"])
@endpoint(scope("applications:write"))
async def delete_application(caller: AnyCaller, application_id: UUID, versions: Versions) -> None:
    """Put an application into the trash, with everything that hangs on it."""
    return await applications.delete_application(caller, application_id, versions=versions)


@app.route("api/applications/{application_id:guid}/move", methods=["POST"])
@endpoint(scope("applications:write"))
async def move_application(
    caller: AnyCaller, application_id: UUID, body: Move, versions: Versions
) -> Document[Application]:
    """Move an application through the pipeline, now or as of earlier.

    What is already there, in the same round and for the same reason, stays as it is.
    """
    return await applications.move_application(caller, application_id, body, versions=versions)


# ---------------------------------------------------------------- Pipeline and timeline


# ---------------------------------------------------------------- Companies, contacts and notes


# ---------------------------------------------------------------- Interviews and tasks


# ---------------------------------------------------------------- Calendar


# ---------------------------------------------------------------- Search, tags and duplicates


# ---------------------------------------------------------------- Files


# ---------------------------------------------------------------- Analytics


# ---------------------------------------------------------------- Import and export


@app.route("api/applications/export", methods=["GET"])
@endpoint(scope("applications:read"), raises=(transfer.ExportTooLarge,))
async def export_applications(caller: AnyCaller, query: ExportQuery) -> Csv | Json:
    """Take applications along as a file, each with its history."""
    return FILES[query.format](await transfer.export(caller, query), headers=transfer.as_file(query.format))


@app.route("api/applications/import", methods=["POST"])
@endpoint(scope("applications:write"), max_body=transfer.MAX_BODY)
async def import_applications(caller: AnyCaller, body: ImportRequest) -> Document[ImportReport]:
    """Write down the applications of a file, each row by itself.

    What became of each is told; rows that cannot be read do not keep the others out. The same file again makes nothing
    new, so this needs no `Idempotency-Key`.
    """
    return await transfer.import_applications(caller, body)


@app.route("api/applications/imports", methods=["GET"])
@endpoint(scope("applications:read"))
async def list_imports(caller: AnyCaller, query: ImportQuery) -> Page[Import]:
    """List imports, newest first."""
    return await transfer.list_imports(caller, query)


@app.route("api/applications/imports/{import_id:guid}", methods=["DELETE"])
@endpoint(scope("applications:write"))
async def undo_import(caller: AnyCaller, import_id: UUID, query: UndoQuery) -> Document[Undoing]:
    """Put what an import made into the trash.

    What was worked on since stays, and is named, unless `force` says that it is to go too.
    """
    return await transfer.undo_import(caller, import_id, query)


# ---------------------------------------------------------------- Drafts from the web, and shares


# ---------------------------------------------------------------- Trash


# ---------------------------------------------------------------- Quotas


@app.route("api/quotas", methods=["GET"])
@endpoint(scope("quotas:read"))
async def list_quotas(caller: AnyCaller) -> Document[Quotas]:
    """List what the caller may use, and how much is left."""
    return await quotas.list_quotas(caller)


@app.route("api/quotas/{metric}", methods=["GET"])
@endpoint(scope("quotas:read"))
async def get_quota(caller: AnyCaller, metric: str) -> Document[Quota]:
    """Read one quota."""
    return await quotas.get_quota(caller, metric)


@app.route("api/quotas/{metric}/consume", methods=["POST"])
@endpoint(scope("quotas:consume"), raises=(QuotaExceeded, IdempotencyKeyReused))
async def consume_quota(caller: AnyCaller, metric: str, body: Consumption) -> Document[Quota]:
    """Use some of a quota now."""
    return await quotas.consume(caller, metric, body)


@app.route("api/quotas/{metric}/reserve", methods=["POST"])
@endpoint(scope("quotas:consume"), status=201, raises=(QuotaExceeded, IdempotencyKeyReused))
async def reserve_quota(caller: AnyCaller, metric: str, body: ReservationRequest) -> Document[Reservation]:
    """Hold some of a quota for work about to begin."""
    return await quotas.reserve(caller, metric, body)


@app.route("api/quotas/reservations/{reservation_id:guid}/commit", methods=["POST"])
@endpoint(scope("quotas:consume"), raises=(quotas.ReservationExpired, quotas.ReservationSettled))
async def commit_reservation(caller: AnyCaller, reservation_id: UUID) -> Document[Reservation]:
    """Use what was reserved: the work is done."""
    return await quotas.settle(caller, reservation_id, "committed")


@app.route("api/quotas/reservations/{reservation_id:guid}/release", methods=["POST"])
@endpoint(scope("quotas:consume"), raises=(quotas.ReservationSettled,))
async def release_reservation(caller: AnyCaller, reservation_id: UUID) -> Document[Reservation]:
    """Give back what was reserved: the work failed."""
    return await quotas.settle(caller, reservation_id, "released")


# ---------------------------------------------------------------- Leaving


@app.route("api/account/export", methods=["POST"])
@endpoint(fresh, raises=(QuotaExceeded,))
async def export_account(caller: Caller, call: Call) -> Zip:
    """Take a copy of everything the account holds."""
    return Zip(await leaving.export(caller, device=call.device), headers=leaving.AS_FILE)


@app.route("api/account", methods=["DELETE"])
@endpoint(fresh, status=202, raises=(leaving.AdminCannotLeave,))
async def delete_account(caller: Caller, call: Call) -> Document[leaving.Deletion]:
    """Have the account deleted in seven days."""
    return await leaving.leave(caller, device=call.device)


@app.route("api/account/restore", methods=["POST"])
@endpoint(fresh, raises=(leaving.NoDeletionPending,))
async def restore_account(caller: Caller, call: Call) -> None:
    """Take the deletion of the account back."""
    return await leaving.restore(caller, device=call.device)


# ---------------------------------------------------------------- Administration


@app.route("api/admin/users", methods=["GET"])
@endpoint(role("admin"))
async def search_users(caller: Caller, query: UserQuery) -> Page[UserSummary]:
    """Search accounts, a page at a time."""
    return await admin.search_users(caller, query)


@app.route("api/admin/users/{user_id:guid}", methods=["GET"])
@endpoint(role("admin"))
async def get_user(caller: Caller, user_id: UUID) -> Document[UserDetails]:
    """Read somebody's account."""
    return await admin.get_user(caller, user_id)


@app.route("api/admin/users/{user_id:guid}", methods=["PATCH"])
@endpoint(role("admin", of=fresh), raises=(LastAdmin,))
async def change_user(caller: Caller, user_id: UUID, body: AccountChanges, call: Call) -> Document[UserDetails]:
    """Change somebody's role, or disable or enable their account."""
    return await admin.change_user(caller, user_id, body, device=call.device)


@app.route("api/admin/users/{user_id:guid}/revoke-sessions", methods=["POST"])
@endpoint(role("admin", of=fresh))
async def end_sessions(caller: Caller, user_id: UUID, body: Ending, call: Call) -> sessions.RevokedSessions:
    """End all of somebody's sessions."""
    return await admin.end_sessions(caller, user_id, body, device=call.device)


@app.route("api/admin/users/{user_id:guid}/quotas/{metric}", methods=["PUT"])
@endpoint(role("admin", of=fresh))
async def grant_quota(caller: Caller, user_id: UUID, metric: str, body: Grant, call: Call) -> Document[AdminQuota]:
    """Set what somebody may use, in place of their role's limit."""
    return await admin.grant_quota(caller, user_id, metric, body, device=call.device)


@app.route("api/admin/users/{user_id:guid}/quotas/{metric}", methods=["DELETE"])
@endpoint(role("admin", of=fresh))
async def restore_quota(caller: Caller, user_id: UUID, metric: str, call: Call) -> None:
    """Let the limit of somebody's role hold again."""
    return await admin.restore_quota(caller, user_id, metric, device=call.device)


@app.route("api/admin/audit", methods=["GET"])
@endpoint(role("admin"))
async def search_events(caller: Caller, query: AuditQuery) -> Page[AuditEvent]:
    """Search the audit log, newest first."""
    return await audit.search_events(caller, query)


@app.route("api/admin/metrics", methods=["GET"])
@endpoint(role("admin"))
async def get_metrics(caller: Caller, query: MetricsQuery, call: Call) -> Metrics | PlainText:
    """Tell how the app and its database are doing."""
    return await admin.get_metrics(caller, query, accept=call.header("accept"))


# ---------------------------------------------------------------- Timers


@app.timer_trigger("timer", schedule="30 7 * * * *")  # with the purge, while the database is awake
async def erase_deleted_accounts(timer: func.TimerRequest) -> None:
    """Take apart the accounts whose owners left seven days ago."""
    await leaving.erase()


@app.timer_trigger("timer", schedule="0 7 * * * *")  # hourly: more often would keep Neon from going to sleep
async def purge_expired_sessions(timer: func.TimerRequest) -> None:
    """Delete expired and long-revoked sessions, stale keys and reservations."""
    await retention.purge()  # what it answers is in the log: the worker fails a timer that returns something


@app.timer_trigger("timer", schedule="0 */15 * * * *")  # for what could not be sent at once; a sleeping Neon wakes
async def deliver_mail(timer: func.TimerRequest) -> None:
    """Send the mail that is due: what was not sent at once, and what failed and is to be tried again."""
    await mail.deliver()


# ---------------------------------------------------------------- Everything else


# The Functions host tries routes in alphabetical order of the functions' names: this one must come last.
@app.route("{*path}", methods=METHODS)
@endpoint(anyone, raises=(NotFound,))
async def zz_unmatched(query: AnyQuery, call: Call) -> None:
    """Refuse a path or a method that nothing else took."""
    raise app.unmatched(call)
