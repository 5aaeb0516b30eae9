"""What a file is, as it is asked for and as it is shown."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, StringConstraints

from shared.fields import Changes, Moment, Name, PageQuery, Query, Request, Response

MEBIBYTE = 1024 * 1024

MAX_UPLOAD = 10 * MEBIBYTE
"""Bytes of a file that comes through the app, where it is in memory."""

MAX_DIRECT = 25 * MEBIBYTE
"""Bytes of a file that goes to the store directly, and is read back once to see what it is."""

MAX_SPACE = 100 * MEBIBYTE
"""Bytes of all of somebody's files, those in the trash too: as much as a copy of the account has room for."""

Kind = Literal["resume", "cover_letter", "other"]
State = Literal["pending", "uploaded", "scanning", "clean", "rejected"]


class FileDraft(Request):
    """What is said of a file that comes with it."""

    kind: Kind = "resume"
    name: Annotated[Name | None, Field(description="Instead of the name that the file comes with.")] = None
    application_id: Annotated[UUID | None, Field(description="The application it is sent with.")] = None
    series_id: Annotated[UUID | None, Field(description="The series it is a new version in.")] = None


class UploadRequest(Request):
    """A file that is about to go to the store directly."""

    name: Name
    size: Annotated[int, Field(ge=1, le=MAX_DIRECT, description="In bytes, exactly.")]
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    kind: Kind = "resume"
    application_id: Annotated[UUID | None, Field(description="The application it is sent with.")] = None
    series_id: Annotated[UUID | None, Field(description="The series it is a new version in.")] = None


class FileChanges(Changes):
    name: Name = ""
    kind: Kind = "resume"


class Statistics(Response):
    """What a text amounts to."""

    words: int
    lines: int
    characters: int


class File(Response):
    """A document in one of its versions; those of one ``series_id`` are versions of one document."""

    id: UUID
    series_id: UUID
    version_number: int
    kind: Kind
    name: str
    state: Annotated[State, Field(description="It can be had when it is `clean`.")]
    media_type: Annotated[str | None, Field(description="What its bytes are, whatever its name says.")]
    size: int
    sha256: str | None
    statistics: Annotated[Statistics | None, Field(description="Of plain text and of DOCX.")]
    created_at: Moment
    updated_at: Moment
    version: int


class UploadAddress(Response):
    """Where to send the bytes, once, and no others than those announced."""

    method: Literal["PUT"]
    url: Annotated[str, Field(description="To be resolved against the address of this API, if it has no host.")]
    headers: Annotated[dict[str, str], Field(description="What the request must say.")]
    expires_at: Moment


class UploadBegun(File):
    """A file that is waited for."""

    upload: UploadAddress


class ContentQuery(Query):
    token: Annotated[str, StringConstraints(max_length=200)]


class FileQuery(PageQuery):
    """Which files to list, the newest first."""

    kind: Kind | None = Field(None, description="Of this kind.")
    state: State | None = Field(None, description="In this state.")
    application_id: UUID | None = Field(None, description="Sent with this application.")
    series_id: UUID | None = Field(None, description="Versions of this document.")


class LinkedFileQuery(PageQuery):
    """Which files of an application to list, the newest first."""


class FileLink(Request):
    file_id: UUID
