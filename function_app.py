"""Jobtrail: every route and every timer. What they do is in shared/, one folder a feature."""

from uuid import UUID

import azure.functions as func

from shared import accounts, applications, health, leaving, mail, openapi, quotas, retention, sessions
from shared.access import anyone, fresh, member, role
from shared.accounts import Profile, ProfileChanges
from shared.applications import Application, ApplicationChanges, ApplicationDraft, ApplicationQuery
from shared.db import Caller
from shared.documents import Document, Page, Retry, Versions
from shared.errors import IdempotencyKeyReused, NotFound, Overloaded, RateLimited
from shared.health import Health, NotReady, Readiness
from shared.http import AnyQuery, Call, Html, Json, Zip, endpoint
from shared.quotas import Consumption, Quota, QuotaExceeded, Quotas, Reservation, ReservationRequest
from shared.routes import METHODS, App
from shared.security.keys import keyring
from shared.sessions import SecondFactorRequired, SignedIn, SignedOut

keyring()  # settings or keys that cannot be used are refused at start, not at the first request
app = App(http_auth_level=func.AuthLevel.ANONYMOUS)

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
@endpoint(anyone, status=201, raises=(sessions.EmailTaken, Overloaded))
async def register(body: sessions.RegisterRequest, call: Call) -> SignedIn:
    """Make an account and sign it in."""
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
    return await sessions.logout(call.presented(body.refresh_token) or call.bearer())


@app.route("api/auth/logout-all", methods=["POST"])
@endpoint(member)
async def logout_all(caller: Caller, body: sessions.LogoutAllRequest) -> sessions.RevokedSessions:
    """End every session, or every other one."""
    return await sessions.logout_all(caller, body)


@app.route("api/auth/sessions", methods=["GET"])
@endpoint(member)
async def list_sessions(caller: Caller) -> Document[sessions.Sessions]:
    """List the devices the caller is signed in on."""
    return await sessions.list_sessions(caller)


@app.route("api/auth/sessions/{session_id:guid}", methods=["DELETE"])
@endpoint(member)
async def revoke_session(caller: Caller, session_id: UUID) -> None:
    """End the session of one device."""
    return await sessions.revoke_session(caller, session_id)


# ---------------------------------------------------------------- What a token says


@app.route("api/auth/status", methods=["GET"])
@endpoint(member)
async def get_status(caller: Caller) -> sessions.Status:
    """Tell whether the caller is signed in, and as whom."""
    return await sessions.get_status(caller)


@app.route("api/auth/verify", methods=["GET"])
@endpoint(member)
async def verify_token(caller: Caller) -> sessions.Verification:
    """Verify an access token on behalf of another service."""
    return await sessions.verify(caller)


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


# ---------------------------------------------------------------- Profile


@app.route("api/profile", methods=["GET"])
@endpoint(member)
async def get_profile(caller: Caller) -> Document[Profile]:
    """Read the caller's profile."""
    return await accounts.get_profile(caller)


@app.route("api/profile", methods=["PATCH"])
@endpoint(member)
async def update_profile(caller: Caller, body: ProfileChanges, versions: Versions) -> Document[Profile]:
    """Change the caller's profile."""
    return await accounts.update_profile(caller, body, versions=versions)


# ---------------------------------------------------------------- Applications


@app.route("api/applications", methods=["GET"])
@endpoint(member)
async def list_applications(caller: Caller, query: ApplicationQuery) -> Page[Application]:
    """List applications, a page at a time."""
    return await applications.list_applications(caller, query)


@app.route("api/applications", methods=["POST"])
@endpoint(member, status=201, location="/api/applications/{id}")
async def create_application(caller: Caller, body: ApplicationDraft, retry: Retry | None) -> Document[Application]:
    """Write an application down."""
    return await applications.create_application(caller, body, retry=retry)


@app.route("api/applications/{application_id:guid}", methods=["GET"])
@endpoint(member)
async def get_application(caller: Caller, application_id: UUID) -> Document[Application]:
    """Read an application."""
    return await applications.get_application(caller, application_id)


@app.route("api/applications/{application_id:guid}", methods=["PATCH"])
@endpoint(member)
async def update_application(
    caller: Caller, application_id: UUID, body: ApplicationChanges, versions: Versions
) -> Document[Application]:
    """Change an application; what is left out stays."""
    return await applications.update_application(caller, application_id, body, versions=versions)


@app.route("api/applications/{application_id:guid}", methods=["DELETE"])
@endpoint(member)
async def delete_application(caller: Caller, application_id: UUID, versions: Versions) -> None:
    """Delete an application."""
    return await applications.delete_application(caller, application_id, versions=versions)


# ---------------------------------------------------------------- Quotas


@app.route("api/quotas", methods=["GET"])
@endpoint(member)
async def list_quotas(caller: Caller) -> Document[Quotas]:
    """List what the caller may use, and how much is left."""
    return await quotas.list_quotas(caller)


@app.route("api/quotas/{metric}", methods=["GET"])
@endpoint(member)
async def get_quota(caller: Caller, metric: str) -> Document[Quota]:
    """Read one quota."""
    return await quotas.get_quota(caller, metric)


@app.route("api/quotas/{metric}/consume", methods=["POST"])
@endpoint(member, raises=(QuotaExceeded, IdempotencyKeyReused))
async def consume_quota(caller: Caller, metric: str, body: Consumption) -> Document[Quota]:
    """Use some of a quota now."""
    return await quotas.consume(caller, metric, body)


@app.route("api/quotas/{metric}/reserve", methods=["POST"])
@endpoint(member, status=201, raises=(QuotaExceeded, IdempotencyKeyReused))
async def reserve_quota(caller: Caller, metric: str, body: ReservationRequest) -> Document[Reservation]:
    """Hold some of a quota for work about to begin."""
    return await quotas.reserve(caller, metric, body)


@app.route("api/quotas/reservations/{reservation_id:guid}/commit", methods=["POST"])
@endpoint(member, raises=(quotas.ReservationExpired, quotas.ReservationSettled))
async def commit_reservation(caller: Caller, reservation_id: UUID) -> Document[Reservation]:
    """Use what was reserved: the work is done."""
    return await quotas.settle(caller, reservation_id, "committed")


@app.route("api/quotas/reservations/{reservation_id:guid}/release", methods=["POST"])
@endpoint(member, raises=(quotas.ReservationSettled,))
async def release_reservation(caller: Caller, reservation_id: UUID) -> Document[Reservation]:
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
