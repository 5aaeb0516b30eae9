"""Jobtrail: every route and every timer. What they do is in shared/, one folder a feature."""

from uuid import UUID

import azure.functions as func

from shared import (
    accounts,
    admin,
    analytics,
    applications,
    audit,
    board,
    calendar,
    capture,
    companies,
    contacts,
    duplicates,
    factors,
    files,
    health,
    identities,
    interviews,
    leaving,
    mail,
    notes,
    openapi,
    passkeys,
    quotas,
    recovery,
    reminders,
    retention,
    saved_views,
    sessions,
    shares,
    stages,
    tags,
    tasks,
    timeline,
    tokens,
    transfer,
    trash,
)
from shared.access import anyone, fresh, member, member_or_token, role, scope
from shared.db import AnyCaller, Caller
from shared.documents import Document, Page, Retry, Versions
from shared.errors import DatabaseUnavailable, IdempotencyKeyReused, NotFound, Overloaded, RateLimited, SessionEnded
from shared.fields import Accepted, Contents, Elsewhere, PlainText, Svg, Upload, WebPage
from shared.http import OAUTH_COOKIE, AnyQuery, Calendar, Call, Csv, Html, Json, Zip, endpoint
from shared.routes import METHODS, App
from shared.security.keys import keyring

keyring()  # settings or keys that cannot be used are refused at start, not at the first request
app = App(http_auth_level=func.AuthLevel.ANONYMOUS)

FILES: dict[str, type[Csv] | type[Json]] = {"csv": Csv, "json": Json}

# ---------------------------------------------------------------- Health and reference


@app.route("health", methods=["GET"])
@endpoint(anyone)
async def get_health() -> health.Health:
    """Tell whether the app answers; nothing else is asked."""
    return await health.get_health()


@app.route("health/ready", methods=["GET"])
@endpoint(anyone, raises=(health.NotReady,))
async def get_readiness() -> health.Readiness:
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
async def register(body: sessions.RegisterRequest, call: Call) -> sessions.SignedIn | Accepted:
    """Make an account and sign it in.

    Where addresses must be verified first, the answer is 202 whether or not the address is taken, and mail says more.
    """
    return await sessions.register(body, device=call.device)


@app.route("api/auth/login", methods=["POST"])
@endpoint(anyone, raises=(sessions.InvalidCredentials, sessions.EmailNotVerified, RateLimited, Overloaded))
async def login(body: sessions.LoginRequest, call: Call) -> sessions.SignedIn | sessions.SecondFactorRequired:
    """Sign in with e-mail address and password."""
    return await sessions.login(body, device=call.device)


@app.route("api/auth/refresh", methods=["POST"])
@endpoint(
    anyone,
    accepts=("cookie",),
    raises=(sessions.RefreshTokenInvalid, sessions.RefreshTokenReused, sessions.SessionExpired, RateLimited),
)
async def refresh(body: sessions.RefreshRequest, call: Call) -> sessions.SignedIn:
    """Exchange a refresh token for the next pair."""
    return await sessions.refresh(call.presented(body.refresh_token), device=call.device)


@app.route("api/auth/logout", methods=["POST"])
@endpoint(anyone, accepts=("cookie", "bearer"), raises=(sessions.NoSession, sessions.RefreshTokenInvalid))
async def logout(body: sessions.LogoutRequest, call: Call) -> sessions.SignedOut:
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
async def finish_login(body: factors.SecondStep, call: Call) -> sessions.SignedIn:
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
async def login_with_passkey(body: passkeys.PasskeyLogin, call: Call) -> sessions.SignedIn:
    """Sign in with a passkey, and nothing else."""
    return await passkeys.login(body, device=call.device)


@app.route("api/auth/passkeys/register/options", methods=["POST"])
@endpoint(fresh, raises=(sessions.EmailNotVerified,))
async def begin_passkey_registration(caller: Caller) -> passkeys.CreationOptions:
    """Begin adding a passkey to the account."""
    return await passkeys.begin_registration(caller)


@app.route("api/auth/passkeys/register", methods=["POST"])
@endpoint(fresh, status=201, raises=(passkeys.PasskeyRefused, passkeys.PasskeyRegistered, passkeys.TooManyPasskeys))
async def register_passkey(
    caller: Caller, body: passkeys.PasskeyRegistration, call: Call
) -> Document[passkeys.Passkey]:
    """Add a passkey to the account."""
    return await passkeys.register(caller, body, device=call.device)


@app.route("api/auth/passkeys", methods=["GET"])
@endpoint(member)
async def list_passkeys(caller: Caller) -> Document[passkeys.Passkeys]:
    """List the account's passkeys."""
    return await passkeys.list_passkeys(caller)


@app.route("api/auth/passkeys/{passkey_id:guid}", methods=["PATCH"])
@endpoint(member)
async def rename_passkey(
    caller: Caller, passkey_id: UUID, body: passkeys.PasskeyChanges, versions: Versions
) -> Document[passkeys.Passkey]:
    """Call a passkey something else."""
    return await passkeys.rename(caller, passkey_id, body, versions=versions)


@app.route("api/auth/passkeys/{passkey_id:guid}", methods=["DELETE"])
@endpoint(fresh, raises=(accounts.LastWayIn,))
async def delete_passkey(caller: Caller, passkey_id: UUID, versions: Versions, call: Call) -> None:
    """Take a passkey away; never the last way into the account."""
    return await passkeys.remove(caller, passkey_id, versions=versions, device=call.device)


# ---------------------------------------------------------------- Google, GitHub, Microsoft


@app.route("api/auth/oauth/{provider}/start", methods=["GET"])
@endpoint(anyone, raises=(RateLimited, DatabaseUnavailable))
async def start_oauth(provider: str, query: identities.StartQuery, call: Call) -> identities.Departure:
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
) -> sessions.SignedIn | sessions.SecondFactorRequired | identities.Identity | identities.Arrival:
    """Come back from a provider, and be signed in or linked."""
    return await identities.finish(provider, query, browser=call.cookie(OAUTH_COOKIE), device=call.device)


@app.route("api/auth/identities", methods=["GET"])
@endpoint(member)
async def list_identities(caller: Caller) -> Document[identities.Identities]:
    """List who the caller is at other providers."""
    return await identities.list_identities(caller)


@app.route("api/auth/identities/{provider}/link", methods=["POST"])
@endpoint(fresh)
async def link_identity(
    caller: Caller, provider: str, body: identities.LinkRequest, call: Call
) -> identities.LinkBegun:
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
async def get_profile(caller: AnyCaller) -> Document[accounts.Profile]:
    """Read the caller's profile."""
    return await accounts.get_profile(caller)


@app.route("api/profile", methods=["PATCH"])
@endpoint(scope("profile:write"))
async def update_profile(
    caller: AnyCaller, body: accounts.ProfileChanges, versions: Versions
) -> Document[accounts.Profile]:
    """Change the caller's profile."""
    return await accounts.update_profile(caller, body, versions=versions)


@app.route("api/account/activity", methods=["GET"])
@endpoint(member)
async def list_activity(caller: Caller, query: audit.ActivityQuery) -> Page[audit.Activity]:
    """List what happened to the caller's account, newest first."""
    return await audit.list_activity(caller, query)


# ---------------------------------------------------------------- Applications


@app.route("api/applications", methods=["GET"])
@endpoint(scope("applications:read"))
async def list_applications(caller: AnyCaller, query: applications.ApplicationQuery) -> Page[applications.Application]:
    """List applications, a page at a time."""
    return await applications.list_applications(caller, query)


@app.route("api/applications", methods=["POST"])
@endpoint(scope("applications:write"), status=201, location="/api/applications/{id}")
async def create_application(
    caller: AnyCaller, body: applications.ApplicationDraft, retry: Retry | None
) -> Document[applications.ApplicationCreated]:
    """Write an application down.

    The answer warns of what may be the same, of having applied there lately, and of a company that is blocked.
    """
    return await applications.create_application(caller, body, retry=retry)


@app.route("api/applications/{application_id:guid}", methods=["GET"])
@endpoint(scope("applications:read"))
async def get_application(caller: AnyCaller, application_id: UUID) -> Document[applications.Application]:
    """Read an application."""
    return await applications.get_application(caller, application_id)


@app.route("api/applications/{application_id:guid}", methods=["PATCH"])
@endpoint(scope("applications:write"), raises=(timeline.TimelineFull,))
async def update_application(
    caller: AnyCaller, application_id: UUID, body: applications.ApplicationChanges, versions: Versions
) -> Document[applications.Application]:
    """Change an application; what is left out stays."""
    return await applications.update_application(caller, application_id, body, versions=versions)


@app.route("api/applications/{application_id:guid}", methods=["DELETE"])
@endpoint(scope("applications:write"))
async def delete_application(caller: AnyCaller, application_id: UUID, versions: Versions) -> None:
    """Put an application into the trash, with everything that hangs on it."""
    return await applications.delete_application(caller, application_id, versions=versions)


@app.route("api/applications/{application_id:guid}/move", methods=["POST"])
@endpoint(scope("applications:write"), raises=(timeline.TimelineFull,))
async def move_application(
    caller: AnyCaller, application_id: UUID, body: applications.Move, versions: Versions, retry: Retry | None
) -> Document[applications.Application]:
    """Move an application through the pipeline, now or as of earlier.

    What is already there, in the same round and for the same reason, stays as it is.
    """
    return await applications.move_application(caller, application_id, body, versions=versions, retry=retry)


# ---------------------------------------------------------------- Pipeline and timeline


@app.route("api/stages", methods=["GET"])
@endpoint(scope("applications:read"))
async def list_stages(caller: AnyCaller, query: stages.StageQuery) -> Page[stages.Stage]:
    """List the stages of one's pipeline, in their order."""
    return await stages.list_stages(caller, query)


@app.route("api/stages", methods=["POST"])
@endpoint(
    scope("applications:write"),
    status=201,
    location="/api/stages/{id}",
    raises=(stages.StageExists, stages.TooManyStages),
)
async def create_stage(caller: AnyCaller, body: stages.StageDraft, retry: Retry | None) -> Document[stages.Stage]:
    """Add a stage to one's pipeline; those behind it make room."""
    return await stages.create_stage(caller, body, retry=retry)


@app.route("api/stages/{stage_id:guid}", methods=["GET"])
@endpoint(scope("applications:read"))
async def get_stage(caller: AnyCaller, stage_id: UUID) -> Document[stages.Stage]:
    """Read a stage."""
    return await stages.get_stage(caller, stage_id)


@app.route("api/stages/{stage_id:guid}", methods=["PATCH"])
@endpoint(scope("applications:write"), raises=(stages.StageExists, stages.LastStageOfCategory))
async def update_stage(
    caller: AnyCaller, stage_id: UUID, body: stages.StageChanges, versions: Versions
) -> Document[stages.Stage]:
    """Rename a stage, put it elsewhere, retire it or use it again."""
    return await stages.update_stage(caller, stage_id, body, versions=versions)


@app.route("api/stages/{stage_id:guid}", methods=["DELETE"])
@endpoint(scope("applications:write"), raises=(stages.LastStageOfCategory,))
async def retire_stage(caller: AnyCaller, stage_id: UUID, versions: Versions) -> None:
    """Retire a stage; its applications and their history stay."""
    return await stages.retire_stage(caller, stage_id, versions=versions)


@app.route("api/applications/{application_id:guid}/events", methods=["GET"])
@endpoint(scope("applications:read"))
async def list_events(caller: AnyCaller, application_id: UUID, query: timeline.EventQuery) -> Page[timeline.Event]:
    """List what happened to an application, the latest first."""
    return await timeline.list_events(caller, application_id, query)


@app.route("api/applications/{application_id:guid}/events", methods=["POST"])
@endpoint(
    scope("applications:write"),
    status=201,
    location="/api/applications/{application_id}/events/{id}",
    raises=(timeline.TimelineFull,),
)
async def create_event(
    caller: AnyCaller, application_id: UUID, body: timeline.EventDraft, retry: Retry | None
) -> Document[timeline.Event]:
    """Write down what happened, now or earlier."""
    return await timeline.create_event(caller, application_id, body, retry=retry)


@app.route("api/applications/{application_id:guid}/events/{event_id:guid}", methods=["GET"])
@endpoint(scope("applications:read"))
async def get_event(caller: AnyCaller, application_id: UUID, event_id: UUID) -> Document[timeline.Event]:
    """Read an event, and what it said before."""
    return await timeline.get_event(caller, application_id, event_id)


@app.route("api/applications/{application_id:guid}/events/{event_id:guid}", methods=["PATCH"])
@endpoint(scope("applications:write"), raises=(timeline.EventIsKept, timeline.TimelineFull))
async def update_event(
    caller: AnyCaller, application_id: UUID, event_id: UUID, body: timeline.EventChanges, versions: Versions
) -> Document[timeline.Event]:
    """Correct an event; what it said before is kept."""
    return await timeline.update_event(caller, application_id, event_id, body, versions=versions)


@app.route("api/applications/{application_id:guid}/events/{event_id:guid}", methods=["DELETE"])
@endpoint(scope("applications:write"), raises=(timeline.EventIsKept, timeline.LastMove))
async def delete_event(caller: AnyCaller, application_id: UUID, event_id: UUID, versions: Versions) -> None:
    """Put an event into the trash, and the application where others lead."""
    return await timeline.delete_event(caller, application_id, event_id, versions=versions)


@app.route("api/applications/board", methods=["GET"])
@endpoint(scope("applications:read"))
async def get_board(caller: AnyCaller, query: board.BoardQuery) -> Document[board.Board]:
    """Read the board: the first cards of each stage, or the next of one."""
    return await board.get_board(caller, query)


@app.route("api/applications/{application_id:guid}/position", methods=["PUT"])
@endpoint(scope("applications:write"), raises=(timeline.TimelineFull,))
async def place_application(
    caller: AnyCaller, application_id: UUID, body: board.Place, versions: Versions
) -> Document[applications.Application]:
    """Put a card into its place on the board."""
    return await board.place_application(caller, application_id, body, versions=versions)


# ---------------------------------------------------------------- Companies, contacts and notes


@app.route("api/companies", methods=["GET"])
@endpoint(scope("applications:read"))
async def list_companies(caller: AnyCaller, query: companies.CompanyQuery) -> Page[companies.Company]:
    """List companies, a page at a time."""
    return await companies.list_companies(caller, query)


@app.route("api/companies", methods=["POST"])
@endpoint(scope("applications:write"), status=201, location="/api/companies/{id}", raises=(companies.CompanyExists,))
async def create_company(
    caller: AnyCaller, body: companies.CompanyDraft, retry: Retry | None
) -> Document[companies.Company]:
    """Write a company down; there is one of each name."""
    return await companies.create_company(caller, body, retry=retry)


@app.route("api/companies/{company_id:guid}", methods=["GET"])
@endpoint(scope("applications:read"))
async def get_company(caller: AnyCaller, company_id: UUID) -> Document[companies.Company]:
    """Read a company."""
    return await companies.get_company(caller, company_id)


@app.route("api/companies/{company_id:guid}", methods=["PATCH"])
@endpoint(scope("applications:write"), raises=(companies.CompanyExists,))
async def update_company(
    caller: AnyCaller, company_id: UUID, body: companies.CompanyChanges, versions: Versions
) -> Document[companies.Company]:
    """Change a company; its applications follow another name."""
    return await companies.update_company(caller, company_id, body, versions=versions)


@app.route("api/companies/{company_id:guid}", methods=["DELETE"])
@endpoint(scope("applications:write"))
async def delete_company(caller: AnyCaller, company_id: UUID, versions: Versions) -> None:
    """Put a company into the trash; its applications and contacts stay."""
    return await companies.delete_company(caller, company_id, versions=versions)


@app.route("api/contacts", methods=["GET"])
@endpoint(scope("applications:read"))
async def list_contacts(caller: AnyCaller, query: contacts.ContactQuery) -> Page[contacts.Contact]:
    """List contacts, a page at a time."""
    return await contacts.list_contacts(caller, query)


@app.route("api/contacts", methods=["POST"])
@endpoint(scope("applications:write"), status=201, location="/api/contacts/{id}")
async def create_contact(
    caller: AnyCaller, body: contacts.ContactDraft, retry: Retry | None
) -> Document[contacts.Contact]:
    """Write a contact down."""
    return await contacts.create_contact(caller, body, retry=retry)


@app.route("api/contacts/{contact_id:guid}", methods=["GET"])
@endpoint(scope("applications:read"))
async def get_contact(caller: AnyCaller, contact_id: UUID) -> Document[contacts.Contact]:
    """Read a contact."""
    return await contacts.get_contact(caller, contact_id)


@app.route("api/contacts/{contact_id:guid}", methods=["PATCH"])
@endpoint(scope("applications:write"))
async def update_contact(
    caller: AnyCaller, contact_id: UUID, body: contacts.ContactChanges, versions: Versions
) -> Document[contacts.Contact]:
    """Change a contact; what is left out stays."""
    return await contacts.update_contact(caller, contact_id, body, versions=versions)


@app.route("api/contacts/{contact_id:guid}", methods=["DELETE"])
@endpoint(scope("applications:write"))
async def delete_contact(caller: AnyCaller, contact_id: UUID, versions: Versions) -> None:
    """Put a contact into the trash, with its links to applications."""
    return await contacts.delete_contact(caller, contact_id, versions=versions)


@app.route("api/applications/{application_id:guid}/contacts", methods=["GET"])
@endpoint(scope("applications:read"))
async def list_application_contacts(
    caller: AnyCaller, application_id: UUID, query: contacts.LinkQuery
) -> Page[contacts.LinkedContact]:
    """List who has to do with an application, the latest linked first."""
    return await contacts.list_application_contacts(caller, application_id, query)


@app.route("api/applications/{application_id:guid}/contacts", methods=["POST"])
@endpoint(scope("applications:write"), status=201, location="/api/applications/{application_id}/contacts/{id}")
async def link_contact(
    caller: AnyCaller, application_id: UUID, body: contacts.ContactLink, retry: Retry | None
) -> Document[contacts.LinkedContact]:
    """Link a contact, or a new one, to an application.

    Linked once more, it stays as it is, but for another role if one is given.
    """
    return await contacts.link_contact(caller, application_id, body, retry=retry)


@app.route("api/applications/{application_id:guid}/contacts/{contact_id:guid}", methods=["GET"])
@endpoint(scope("applications:read"))
async def get_application_contact(
    caller: AnyCaller, application_id: UUID, contact_id: UUID
) -> Document[contacts.LinkedContact]:
    """Read a contact and what they have to do with an application."""
    return await contacts.get_application_contact(caller, application_id, contact_id)


@app.route("api/applications/{application_id:guid}/contacts/{contact_id:guid}", methods=["PATCH"])
@endpoint(scope("applications:write"))
async def update_contact_link(
    caller: AnyCaller, application_id: UUID, contact_id: UUID, body: contacts.LinkChanges, versions: Versions
) -> Document[contacts.LinkedContact]:
    """Change what a contact has to do with an application."""
    return await contacts.update_contact_link(caller, application_id, contact_id, body, versions=versions)


@app.route("api/applications/{application_id:guid}/contacts/{contact_id:guid}", methods=["DELETE"])
@endpoint(scope("applications:write"))
async def unlink_contact(caller: AnyCaller, application_id: UUID, contact_id: UUID, versions: Versions) -> None:
    """Unlink a contact from an application; the contact stays."""
    return await contacts.unlink_contact(caller, application_id, contact_id, versions=versions)


@app.route("api/applications/{application_id:guid}/notes", methods=["GET"])
@endpoint(scope("applications:read"))
async def list_notes(caller: AnyCaller, application_id: UUID, query: notes.NoteQuery) -> Page[notes.Note]:
    """List the notes on an application, newest first."""
    return await notes.list_notes(caller, application_id, query)


@app.route("api/applications/{application_id:guid}/notes", methods=["POST"])
@endpoint(scope("applications:write"), status=201, location="/api/applications/{application_id}/notes/{id}")
async def create_note(
    caller: AnyCaller, application_id: UUID, body: notes.NoteDraft, retry: Retry | None
) -> Document[notes.Note]:
    """Write a note on an application, in Markdown."""
    return await notes.create_note(caller, application_id, body, retry=retry)


@app.route("api/applications/{application_id:guid}/notes/{note_id:guid}", methods=["GET"])
@endpoint(scope("applications:read"))
async def get_note(caller: AnyCaller, application_id: UUID, note_id: UUID) -> Document[notes.Note]:
    """Read a note."""
    return await notes.get_note(caller, application_id, note_id)


@app.route("api/applications/{application_id:guid}/notes/{note_id:guid}", methods=["PATCH"])
@endpoint(scope("applications:write"))
async def update_note(
    caller: AnyCaller, application_id: UUID, note_id: UUID, body: notes.NoteChanges, versions: Versions
) -> Document[notes.Note]:
    """Change a note; what it said before is kept."""
    return await notes.update_note(caller, application_id, note_id, body, versions=versions)


@app.route("api/applications/{application_id:guid}/notes/{note_id:guid}", methods=["DELETE"])
@endpoint(scope("applications:write"))
async def delete_note(caller: AnyCaller, application_id: UUID, note_id: UUID, versions: Versions) -> None:
    """Put a note into the trash, with what it said before."""
    return await notes.delete_note(caller, application_id, note_id, versions=versions)


@app.route("api/applications/{application_id:guid}/notes/{note_id:guid}/revisions", methods=["GET"])
@endpoint(scope("applications:read"))
async def list_note_revisions(
    caller: AnyCaller, application_id: UUID, note_id: UUID, query: notes.NoteQuery
) -> Page[notes.NoteRevision]:
    """List what a note said before it was edited, the latest first."""
    return await notes.list_note_revisions(caller, application_id, note_id, query)


# ---------------------------------------------------------------- Interviews and tasks


@app.route("api/interviews", methods=["GET"])
@endpoint(scope("applications:read"))
async def list_interviews(caller: AnyCaller, query: interviews.InterviewQuery) -> Page[interviews.Interview]:
    """List all interviews, the earliest first."""
    return await interviews.list_interviews(caller, query)


@app.route("api/applications/{application_id:guid}/interviews", methods=["GET"])
@endpoint(scope("applications:read"))
async def list_application_interviews(
    caller: AnyCaller, application_id: UUID, query: interviews.InterviewPage
) -> Page[interviews.Interview]:
    """List an application's interviews, the earliest first."""
    return await interviews.list_application_interviews(caller, application_id, query)


@app.route("api/applications/{application_id:guid}/interviews", methods=["POST"])
@endpoint(scope("applications:write"), status=201, location="/api/applications/{application_id}/interviews/{id}")
async def create_interview(
    caller: AnyCaller, application_id: UUID, body: interviews.InterviewDraft, retry: Retry | None
) -> Document[interviews.Interview]:
    """Write an interview down."""
    return await interviews.create_interview(caller, application_id, body, retry=retry)


@app.route("api/applications/{application_id:guid}/interviews/{interview_id:guid}", methods=["GET"])
@endpoint(scope("applications:read"))
async def get_interview(caller: AnyCaller, application_id: UUID, interview_id: UUID) -> Document[interviews.Interview]:
    """Read an interview."""
    return await interviews.get_interview(caller, application_id, interview_id)


@app.route("api/applications/{application_id:guid}/interviews/{interview_id:guid}", methods=["PATCH"])
@endpoint(scope("applications:write"))
async def update_interview(
    caller: AnyCaller, application_id: UUID, interview_id: UUID, body: interviews.InterviewChanges, versions: Versions
) -> Document[interviews.Interview]:
    """Change an interview; what is left out stays."""
    return await interviews.update_interview(caller, application_id, interview_id, body, versions=versions)


@app.route("api/applications/{application_id:guid}/interviews/{interview_id:guid}", methods=["DELETE"])
@endpoint(scope("applications:write"))
async def delete_interview(caller: AnyCaller, application_id: UUID, interview_id: UUID, versions: Versions) -> None:
    """Put an interview into the trash."""
    return await interviews.delete_interview(caller, application_id, interview_id, versions=versions)


@app.route("api/tasks", methods=["GET"])
@endpoint(scope("applications:read"))
async def list_tasks(caller: AnyCaller, query: tasks.TaskQuery) -> Page[tasks.Task]:
    """List all tasks, of applications and of one's own."""
    return await tasks.list_tasks(caller, query)


@app.route("api/tasks", methods=["POST"])
@endpoint(scope("applications:write"), status=201, location="/api/tasks/{id}")
async def create_task(caller: AnyCaller, body: tasks.TaskDraft, retry: Retry | None) -> Document[tasks.Task]:
    """Write a task down that belongs to no application."""
    return await tasks.create_task(caller, body, retry=retry)


@app.route("api/tasks/{task_id:guid}", methods=["GET"])
@endpoint(scope("applications:read"))
async def get_task(caller: AnyCaller, task_id: UUID) -> Document[tasks.Task]:
    """Read a task, whatever it belongs to."""
    return await tasks.get_task(caller, task_id)


@app.route("api/tasks/{task_id:guid}", methods=["PATCH"])
@endpoint(scope("applications:write"))
async def update_task(
    caller: AnyCaller, task_id: UUID, body: tasks.TaskChanges, versions: Versions
) -> Document[tasks.Task]:
    """Change a task; what is left out stays."""
    return await tasks.update_task(caller, task_id, body, versions=versions)


@app.route("api/tasks/{task_id:guid}", methods=["DELETE"])
@endpoint(scope("applications:write"))
async def delete_task(caller: AnyCaller, task_id: UUID, versions: Versions) -> None:
    """Put a task into the trash."""
    return await tasks.delete_task(caller, task_id, versions=versions)


@app.route("api/applications/{application_id:guid}/tasks", methods=["GET"])
@endpoint(scope("applications:read"))
async def list_application_tasks(caller: AnyCaller, application_id: UUID, query: tasks.TaskQuery) -> Page[tasks.Task]:
    """List an application's tasks."""
    return await tasks.list_tasks(caller, query, application_id=application_id)


@app.route("api/applications/{application_id:guid}/tasks", methods=["POST"])
@endpoint(scope("applications:write"), status=201, location="/api/applications/{application_id}/tasks/{id}")
async def create_application_task(
    caller: AnyCaller, application_id: UUID, body: tasks.TaskDraft, retry: Retry | None
) -> Document[tasks.Task]:
    """Write a task down that belongs to an application."""
    return await tasks.create_task(caller, body, retry=retry, application_id=application_id)


@app.route("api/applications/{application_id:guid}/tasks/{task_id:guid}", methods=["GET"])
@endpoint(scope("applications:read"))
async def get_application_task(caller: AnyCaller, application_id: UUID, task_id: UUID) -> Document[tasks.Task]:
    """Read an application's task."""
    return await tasks.get_task(caller, task_id, application_id=application_id)


@app.route("api/applications/{application_id:guid}/tasks/{task_id:guid}", methods=["PATCH"])
@endpoint(scope("applications:write"))
async def update_application_task(
    caller: AnyCaller, application_id: UUID, task_id: UUID, body: tasks.TaskChanges, versions: Versions
) -> Document[tasks.Task]:
    """Change an application's task; what is left out stays."""
    return await tasks.update_task(caller, task_id, body, versions=versions, application_id=application_id)


@app.route("api/applications/{application_id:guid}/tasks/{task_id:guid}", methods=["DELETE"])
@endpoint(scope("applications:write"))
async def delete_application_task(caller: AnyCaller, application_id: UUID, task_id: UUID, versions: Versions) -> None:
    """Put an application's task into the trash."""
    return await tasks.delete_task(caller, task_id, versions=versions, application_id=application_id)


# ---------------------------------------------------------------- Calendar


@app.route("api/calendar/feed", methods=["GET"])
@endpoint(member)
async def get_calendar_feed(caller: Caller) -> Document[calendar.Feed]:
    """Tell whether there is a calendar feed, and when it was last read."""
    return await calendar.get_feed(caller)


@app.route("api/calendar/feed", methods=["POST"])
@endpoint(member, status=201)
async def create_calendar_feed(caller: Caller, call: Call) -> calendar.NewFeed:
    """Make the secret address of a calendar feed; no other answer shows it.

    An earlier address stops working. There is no `Idempotency-Key` here, since a kept answer would hold the secret.
    """
    return await calendar.create_feed(caller, device=call.device)


@app.route("api/calendar/feed", methods=["DELETE"])
@endpoint(member, raises=(NotFound,))
async def revoke_calendar_feed(caller: Caller, call: Call) -> None:
    """End the address of the calendar feed."""
    return await calendar.revoke_feed(caller, device=call.device)


@app.route("api/calendar/{token}.ics", methods=["GET"])
@endpoint(anyone, raises=(DatabaseUnavailable,))
async def read_calendar(token: str) -> Calendar:
    """Read the calendar at a secret address.

    It holds interviews, tasks that are not done, and follow-ups.
    """
    return Calendar(await calendar.read_feed(token), headers=calendar.INLINE)


# ---------------------------------------------------------------- Search, tags and duplicates


@app.route("api/applications/bulk", methods=["POST"])
@endpoint(scope("applications:write"))
async def change_applications(caller: AnyCaller, body: applications.BulkRequest) -> Document[applications.BulkResults]:
    """Treat up to a hundred applications alike.

    They are moved, changed or deleted, each by itself: the answer says what became of each.
    """
    return await applications.change_in_bulk(caller, body)


@app.route("api/applications/duplicates", methods=["GET"])
@endpoint(scope("applications:read"))
async def list_duplicates(caller: AnyCaller, query: duplicates.DuplicateQuery) -> Page[duplicates.PossibleDuplicate]:
    """List what may be the same application.

    With an address, or a company and a position: those like it. Without: all that are there more than once.
    """
    return await duplicates.list_duplicates(caller, query)


@app.route("api/applications/{application_id:guid}/merge", methods=["POST"])
@endpoint(scope("applications:write"))
async def merge_applications(
    caller: AnyCaller, application_id: UUID, body: duplicates.Merge, versions: Versions
) -> Document[applications.Application]:
    """Make one application of two.

    Everything that hangs on the duplicate moves to this one, whose empty fields are filled. What the duplicate said
    otherwise is kept in an event of the timeline.
    """
    return await duplicates.merge_applications(caller, application_id, body, versions=versions)


@app.route("api/tags", methods=["GET"])
@endpoint(scope("applications:read"))
async def list_tags(caller: AnyCaller, query: tags.TagQuery) -> Page[tags.ListedTag]:
    """List the caller's tags by name, and how often each is used."""
    return await tags.list_tags(caller, query)


@app.route("api/tags", methods=["POST"])
@endpoint(
    scope("applications:write"),
    status=201,
    location="/api/tags/{id}",
    raises=(tags.TagExists, tags.TooManyTags),
)
async def create_tag(caller: AnyCaller, body: tags.TagDraft, retry: Retry | None) -> Document[tags.Tag]:
    """Make a tag before an application uses it."""
    return await tags.create_tag(caller, body, retry=retry)


@app.route("api/tags/{tag_id:guid}", methods=["GET"])
@endpoint(scope("applications:read"))
async def get_tag(caller: AnyCaller, tag_id: UUID) -> Document[tags.Tag]:
    """Read one of the caller's tags."""
    return await tags.get_tag(caller, tag_id)


@app.route("api/tags/{tag_id:guid}", methods=["PATCH"])
@endpoint(scope("applications:write"), raises=(tags.TagExists,))
async def update_tag(caller: AnyCaller, tag_id: UUID, body: tags.TagChanges, versions: Versions) -> Document[tags.Tag]:
    """Rename or color a tag, on every application."""
    return await tags.update_tag(caller, tag_id, body, versions=versions)


@app.route("api/tags/{tag_id:guid}", methods=["DELETE"])
@endpoint(scope("applications:write"))
async def delete_tag(caller: AnyCaller, tag_id: UUID, versions: Versions) -> None:
    """Take a tag off every application."""
    return await tags.delete_tag(caller, tag_id, versions=versions)


@app.route("api/saved-views", methods=["GET"])
@endpoint(scope("applications:read"))
async def list_saved_views(caller: AnyCaller, query: saved_views.SavedViewQuery) -> Page[saved_views.SavedView]:
    """List the caller's saved views by name."""
    return await saved_views.list_saved_views(caller, query)


@app.route("api/saved-views", methods=["POST"])
@endpoint(
    scope("applications:write"),
    status=201,
    location="/api/saved-views/{id}",
    raises=(saved_views.SavedViewExists, saved_views.TooManySavedViews),
)
async def create_saved_view(
    caller: AnyCaller, body: saved_views.SavedViewDraft, retry: Retry | None
) -> Document[saved_views.SavedView]:
    """Save a query of the list of applications under a name."""
    return await saved_views.create_saved_view(caller, body, retry=retry)


@app.route("api/saved-views/{view_id:guid}", methods=["GET"])
@endpoint(scope("applications:read"))
async def get_saved_view(caller: AnyCaller, view_id: UUID) -> Document[saved_views.SavedView]:
    """Read a saved view."""
    return await saved_views.get_saved_view(caller, view_id)


@app.route("api/saved-views/{view_id:guid}", methods=["PATCH"])
@endpoint(scope("applications:write"), raises=(saved_views.SavedViewExists,))
async def update_saved_view(
    caller: AnyCaller, view_id: UUID, body: saved_views.SavedViewChanges, versions: Versions
) -> Document[saved_views.SavedView]:
    """Rename a saved view, or change its query."""
    return await saved_views.update_saved_view(caller, view_id, body, versions=versions)


@app.route("api/saved-views/{view_id:guid}", methods=["DELETE"])
@endpoint(scope("applications:write"))
async def delete_saved_view(caller: AnyCaller, view_id: UUID, versions: Versions) -> None:
    """Forget a saved view."""
    return await saved_views.delete_saved_view(caller, view_id, versions=versions)


# ---------------------------------------------------------------- Files


@app.route("api/files", methods=["GET"])
@endpoint(scope("files:read"))
async def list_files(caller: AnyCaller, query: files.FileQuery) -> Page[files.File]:
    """List files, the newest first, a page at a time."""
    return await files.list_files(caller, query)


@app.route("api/files", methods=["POST"])
@endpoint(
    scope("files:write"),
    status=201,
    location="/api/files/{id}",
    raises=(quotas.QuotaExceeded, files.FileSpaceFull, files.FilesUnavailable),
)
async def upload_file(caller: AnyCaller, upload: Upload[files.FileDraft], retry: Retry | None) -> Document[files.File]:
    """Upload a file of up to 10 MB with the request.

    What it is, its bytes say: PDF, DOCX, DOC, plain text, PNG or JPEG. It uses one of the quota `resume_uploads`, for
    good; what is refused uses nothing.
    """
    return await files.upload_file(caller, upload, retry=retry)


@app.route("api/files/uploads", methods=["POST"])
@endpoint(
    scope("files:write"),
    status=201,
    location="/api/files/{id}",
    raises=(NotFound, quotas.QuotaExceeded, files.FileSpaceFull, files.FilesUnavailable),
)
async def begin_upload(
    caller: AnyCaller, body: files.UploadRequest, retry: Retry | None
) -> Document[files.UploadBegun]:
    """Announce a file of up to 25 MB, and learn where to put it.

    The address is good for fifteen minutes and for one `PUT`. Then say `complete`: until that, the file is `pending`,
    and holds one of the quota `resume_uploads` and the room it was announced with, for twenty minutes.
    """
    return await files.begin_upload(caller, body, retry=retry)


@app.route("api/files/{file_id:guid}/complete", methods=["POST"])
@endpoint(
    scope("files:write"),
    raises=(files.FileNotUploaded, quotas.ReservationExpired, quotas.ReservationSettled, files.FilesUnavailable),
)
async def complete_upload(caller: AnyCaller, file_id: UUID) -> Document[files.File]:
    """Say that a file was put where it belongs.

    It is kept if it is what was announced, and one of the kinds that are taken. Else it is removed, together with its
    announcement.
    """
    return await files.complete_upload(caller, file_id)


@app.route("api/files/{file_id:guid}", methods=["GET"])
@endpoint(scope("files:read"))
async def get_file(caller: AnyCaller, file_id: UUID) -> Document[files.File]:
    """Read what is known of a file."""
    return await files.get_file(caller, file_id)


@app.route("api/files/{file_id:guid}", methods=["PATCH"])
@endpoint(scope("files:write"))
async def update_file(
    caller: AnyCaller, file_id: UUID, body: files.FileChanges, versions: Versions
) -> Document[files.File]:
    """Rename a file, or say what kind it is."""
    return await files.update_file(caller, file_id, body, versions=versions)


@app.route("api/files/{file_id:guid}", methods=["DELETE"])
@endpoint(scope("files:write"))
async def delete_file(caller: AnyCaller, file_id: UUID, versions: Versions) -> None:
    """Put a file into the trash."""
    return await files.delete_file(caller, file_id, versions=versions)


@app.route("api/files/{file_id:guid}/content", methods=["GET"])
@endpoint(scope("files:read"), raises=(files.FileNotClean, files.FilesUnavailable))
async def get_file_content(caller: AnyCaller, file_id: UUID) -> Contents | Elsewhere:
    """Download a file that is clean; or learn where, for five minutes."""
    return await files.get_content(caller, file_id)


@app.route("api/files/{file_id:guid}/content", methods=["PUT"])
@endpoint(anyone, raises=(files.UploadRefused, files.FilesUnavailable))
async def receive_content(file_id: UUID, query: files.ContentQuery, content: bytes) -> None:
    """Put a file where `POST /api/files/uploads` said, if that was here.

    The token in the address is good for one file of the size that was announced.
    """
    return await files.receive_content(file_id, content, query)


@app.route("api/applications/{application_id:guid}/files", methods=["GET"])
@endpoint(scope("files:read"))
async def list_application_files(
    caller: AnyCaller, application_id: UUID, query: files.LinkedFileQuery
) -> Page[files.File]:
    """List the files that were sent with an application."""
    return await files.list_application_files(caller, application_id, query)


@app.route("api/applications/{application_id:guid}/files", methods=["POST"])
@endpoint(scope("files:write"), status=201, location="/api/files/{id}")
async def link_file(
    caller: AnyCaller, application_id: UUID, body: files.FileLink, retry: Retry | None
) -> Document[files.File]:
    """Write down that a file was sent with an application."""
    return await files.link_file(caller, application_id, body, retry=retry)


@app.route("api/applications/{application_id:guid}/files/{file_id:guid}", methods=["DELETE"])
@endpoint(scope("files:write"))
async def unlink_file(caller: AnyCaller, application_id: UUID, file_id: UUID) -> None:
    """Take a file off an application; it stays among the files."""
    return await files.unlink_file(caller, application_id, file_id)


# ---------------------------------------------------------------- Analytics


@app.route("api/analytics/summary", methods=["GET"])
@endpoint(scope("applications:read"))
async def get_summary(caller: AnyCaller, query: analytics.Period) -> Document[analytics.Summary]:
    """Tell how it stands: totals, responses, and what is due."""
    return await analytics.summarize(caller, query)


@app.route("api/analytics/activity", methods=["GET"])
@endpoint(scope("applications:read"))
async def get_weekly_activity(caller: AnyCaller, query: analytics.Weeks) -> Document[analytics.WeeklyVolume]:
    """Count applications and events week by week."""
    return await analytics.measure_activity(caller, query)


@app.route("api/analytics/funnel", methods=["GET"])
@endpoint(scope("applications:read"))
async def get_funnel(caller: AnyCaller, query: analytics.Period) -> Document[analytics.Funnel]:
    """Tell how far applications came, whatever became of them."""
    return await analytics.measure_funnel(caller, query)


@app.route("api/analytics/sources", methods=["GET"])
@endpoint(scope("applications:read"))
async def compare_sources(caller: AnyCaller, query: analytics.Period) -> Document[analytics.Sources]:
    """Compare sources, and resumes, by how often employers answered."""
    return await analytics.compare_sources(caller, query)


@app.route("api/analytics/time-in-stage", methods=["GET"])
@endpoint(scope("applications:read"))
async def get_time_in_stage(caller: AnyCaller) -> Document[analytics.TimeInStage]:
    """Tell how long applications stay in each stage."""
    return await analytics.measure_stays(caller)


@app.route("api/analytics/quiet", methods=["GET"])
@endpoint(scope("applications:read"))
async def list_quiet_applications(caller: AnyCaller, query: analytics.QuietQuery) -> Page[analytics.QuietApplication]:
    """List open applications nothing was heard of, the longest first.

    What is suggested is for their owner to do: nothing changes by itself.
    """
    return await analytics.list_quiet(caller, query)


@app.route("api/analytics/sankey", methods=["GET"])
@endpoint(scope("applications:read"))
async def draw_sankey(caller: AnyCaller, query: analytics.SankeyQuery) -> analytics.Sankey | PlainText | Svg:
    """Draw how applications flowed through the stages.

    As nodes and links, as text for SankeyMATIC, or as SVG; without anybody's name in it.
    """
    return await analytics.draw_sankey(caller, query)


# ---------------------------------------------------------------- Import and export


@app.route("api/applications/export", methods=["GET"])
@endpoint(scope("applications:read"), raises=(transfer.ExportTooLarge,))
async def export_applications(caller: AnyCaller, query: transfer.ExportQuery) -> Csv | Json:
    """Take applications along as a file, each with its history."""
    return FILES[query.format](await transfer.export(caller, query), headers=transfer.as_file(query.format))


@app.route("api/applications/import", methods=["POST"])
@endpoint(scope("applications:write"), max_body=transfer.MAX_BODY)
async def import_applications(caller: AnyCaller, body: transfer.ImportRequest) -> Document[transfer.ImportReport]:
    """Write down the applications of a file, each row by itself.

    What became of each is told; rows that cannot be read do not keep the others out. The same file again makes nothing
    new, so this needs no `Idempotency-Key`.
    """
    return await transfer.import_applications(caller, body)


@app.route("api/applications/imports", methods=["GET"])
@endpoint(scope("applications:read"))
async def list_imports(caller: AnyCaller, query: transfer.ImportQuery) -> Page[transfer.Import]:
    """List imports, newest first."""
    return await transfer.list_imports(caller, query)


@app.route("api/applications/imports/{import_id:guid}", methods=["DELETE"])
@endpoint(scope("applications:write"))
async def undo_import(caller: AnyCaller, import_id: UUID, query: transfer.UndoQuery) -> Document[transfer.Undoing]:
    """Put what an import made into the trash.

    What was worked on since stays, and is named, unless `force` says that it is to go too.
    """
    return await transfer.undo_import(caller, import_id, query)


# ---------------------------------------------------------------- Drafts from the web, and shares


@app.route("api/applications/from-url", methods=["POST"])
@endpoint(
    scope("applications:write"),
    raises=(
        capture.AddressRefused,
        capture.FetchFailed,
        capture.NoJobPosting,
        capture.SeveralJobPostings,
        RateLimited,
    ),
)
async def capture_application(caller: AnyCaller, body: capture.CaptureRequest) -> Document[capture.Capture]:
    """Draft an application from a posting's page; nothing is kept.

    What the page says in schema.org's JobPosting, and nothing that it does not say. `POST /api/applications` takes the
    draft as it is, if nothing is missing.
    """
    return await capture.capture_application(caller, body)


@app.route("api/shares", methods=["GET"])
@endpoint(member)
async def list_shares(caller: Caller, query: shares.ShareQuery) -> Page[shares.Share]:
    """List the caller's shares that are good, a page at a time."""
    return await shares.list_shares(caller, query)


@app.route("api/shares", methods=["POST"])
@endpoint(member, status=201, raises=(shares.TooManyShares,))
async def create_share(caller: Caller, body: shares.ShareRequest, call: Call) -> shares.NewShare:
    """Make a read-only link to applications; no other answer shows it.

    Notes, salaries, contacts, addresses, tags, documents and dates to come are never shown. There is no
    `Idempotency-Key` here, since a kept answer would hold the secret. Who lost the answer revokes the share that was
    never opened, and makes another.
    """
    return await shares.create_share(caller, body, device=call.device)


@app.route("api/shares/{share_id:guid}", methods=["DELETE"])
@endpoint(member)
async def revoke_share(caller: Caller, share_id: UUID, call: Call) -> None:
    """Revoke a share: its address is gone for good."""
    return await shares.revoke_share(caller, share_id, device=call.device)


@app.route("api/shared/{token}", methods=["GET"])
@endpoint(anyone, raises=(NotFound, DatabaseUnavailable))
async def open_share(token: str, call: Call) -> Document[shares.SharedView] | WebPage:
    """Read what somebody shares, as it is now.

    A browser, which asks for HTML, gets a page.
    """
    return await shares.open_share(token, accept=call.header("accept"))


# ---------------------------------------------------------------- Trash


@app.route("api/trash", methods=["GET"])
@endpoint(scope("applications:read"))
async def list_trash(caller: AnyCaller, query: trash.TrashQuery) -> Page[trash.TrashItem]:
    """List what was deleted in the last 30 days, the latest first."""
    return await trash.list_trash(caller, query)


@app.route("api/trash", methods=["DELETE"])
@endpoint(scope("applications:write"))
async def empty_trash(caller: AnyCaller) -> None:
    """Have everything in the trash gone for good, now."""
    return await trash.empty_trash(caller)


@app.route("api/trash/{trash_id:guid}", methods=["DELETE"])
@endpoint(scope("applications:write"))
async def delete_trash(caller: AnyCaller, trash_id: UUID) -> None:
    """Have something in the trash gone for good, now."""
    return await trash.delete_trash(caller, trash_id)


@app.route("api/trash/{trash_id:guid}/restore", methods=["POST"])
@endpoint(scope("applications:write"), raises=(trash.ParentGone, trash.AlreadyExists))
async def restore_trash(caller: AnyCaller, trash_id: UUID) -> Document[trash.Restored]:
    """Put something back as it was, with everything that went with it."""
    return await trash.restore_trash(caller, trash_id)


# ---------------------------------------------------------------- Quotas


@app.route("api/quotas", methods=["GET"])
@endpoint(scope("quotas:read"))
async def list_quotas(caller: AnyCaller) -> Document[quotas.Quotas]:
    """List what the caller may use, and how much is left."""
    return await quotas.list_quotas(caller)


@app.route("api/quotas/{metric}", methods=["GET"])
@endpoint(scope("quotas:read"))
async def get_quota(caller: AnyCaller, metric: str) -> Document[quotas.Quota]:
    """Read one quota."""
    return await quotas.get_quota(caller, metric)


@app.route("api/quotas/{metric}/consume", methods=["POST"])
@endpoint(scope("quotas:consume"), raises=(quotas.QuotaExceeded, IdempotencyKeyReused))
async def consume_quota(caller: AnyCaller, metric: str, body: quotas.Consumption) -> Document[quotas.Quota]:
    """Use some of a quota now."""
    return await quotas.consume(caller, metric, body)


@app.route("api/quotas/{metric}/reserve", methods=["POST"])
@endpoint(scope("quotas:consume"), status=201, raises=(quotas.QuotaExceeded, IdempotencyKeyReused))
async def reserve_quota(
    caller: AnyCaller, metric: str, body: quotas.ReservationRequest
) -> Document[quotas.Reservation]:
    """Hold some of a quota for work about to begin."""
    return await quotas.reserve(caller, metric, body)


@app.route("api/quotas/reservations/{reservation_id:guid}/commit", methods=["POST"])
@endpoint(scope("quotas:consume"), raises=(quotas.ReservationExpired, quotas.ReservationSettled))
async def commit_reservation(caller: AnyCaller, reservation_id: UUID) -> Document[quotas.Reservation]:
    """Use what was reserved: the work is done."""
    return await quotas.settle(caller, reservation_id, "committed")


@app.route("api/quotas/reservations/{reservation_id:guid}/release", methods=["POST"])
@endpoint(scope("quotas:consume"), raises=(quotas.ReservationSettled,))
async def release_reservation(caller: AnyCaller, reservation_id: UUID) -> Document[quotas.Reservation]:
    """Give back what was reserved: the work failed."""
    return await quotas.settle(caller, reservation_id, "released")


# ---------------------------------------------------------------- Leaving


@app.route("api/account/export", methods=["POST"])
@endpoint(fresh, raises=(quotas.QuotaExceeded, files.FilesUnavailable))
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
async def search_users(caller: Caller, query: admin.UserQuery) -> Page[admin.UserSummary]:
    """Search accounts, a page at a time."""
    return await admin.search_users(caller, query)


@app.route("api/admin/users/{user_id:guid}", methods=["GET"])
@endpoint(role("admin"))
async def get_user(caller: Caller, user_id: UUID) -> Document[admin.UserDetails]:
    """Read somebody's account."""
    return await admin.get_user(caller, user_id)


@app.route("api/admin/users/{user_id:guid}", methods=["PATCH"])
@endpoint(role("admin", of=fresh), raises=(admin.LastAdmin,))
async def change_user(
    caller: Caller, user_id: UUID, body: admin.AccountChanges, call: Call
) -> Document[admin.UserDetails]:
    """Change somebody's role, or disable or enable their account."""
    return await admin.change_user(caller, user_id, body, device=call.device)


@app.route("api/admin/users/{user_id:guid}/revoke-sessions", methods=["POST"])
@endpoint(role("admin", of=fresh))
async def end_sessions(caller: Caller, user_id: UUID, body: admin.Ending, call: Call) -> sessions.RevokedSessions:
    """End all of somebody's sessions."""
    return await admin.end_sessions(caller, user_id, body, device=call.device)


@app.route("api/admin/users/{user_id:guid}/quotas/{metric}", methods=["PUT"])
@endpoint(role("admin", of=fresh))
async def grant_quota(
    caller: Caller, user_id: UUID, metric: str, body: admin.Grant, call: Call
) -> Document[admin.AdminQuota]:
    """Set what somebody may use, in place of their role's limit."""
    return await admin.grant_quota(caller, user_id, metric, body, device=call.device)


@app.route("api/admin/users/{user_id:guid}/quotas/{metric}", methods=["DELETE"])
@endpoint(role("admin", of=fresh))
async def restore_quota(caller: Caller, user_id: UUID, metric: str, call: Call) -> None:
    """Let the limit of somebody's role hold again."""
    return await admin.restore_quota(caller, user_id, metric, device=call.device)


@app.route("api/admin/audit", methods=["GET"])
@endpoint(role("admin"))
async def search_events(caller: Caller, query: audit.AuditQuery) -> Page[audit.AuditEvent]:
    """Search the audit log, newest first."""
    return await audit.search_events(caller, query)


@app.route("api/admin/metrics", methods=["GET"])
@endpoint(role("admin"))
async def get_metrics(caller: Caller, query: admin.MetricsQuery, call: Call) -> admin.Metrics | PlainText:
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


@app.timer_trigger("timer", schedule="45 7 * * * *")  # with the purge, while the database is awake
async def remove_files(timer: func.TimerRequest) -> None:
    """Ask the scanner what it found, and remove contents that no file has any more."""
    await files.tidy()


@app.timer_trigger("timer", schedule="15 7 * * * *")  # for what could not be sent at once, nor moments later
async def deliver_mail(timer: func.TimerRequest) -> None:
    """Send the mail that is due: what was not sent at once, and what failed and is to be tried again."""
    await mail.deliver()


@app.timer_trigger("timer", schedule="0 */15 * * * *")  # asks the database only where something may be due
async def send_reminders(timer: func.TimerRequest) -> None:
    """Remind people of tasks, interviews and follow-ups, each once."""
    await reminders.send()


# ---------------------------------------------------------------- Everything else


# The Functions host tries routes in alphabetical order of the functions' names: this one must come last.
@app.route("{*path}", methods=METHODS)
@endpoint(anyone, raises=(NotFound,))
async def zz_unmatched(query: AnyQuery, call: Call) -> None:
    """Refuse a path or a method that nothing else took."""
    raise app.unmatched(call)
