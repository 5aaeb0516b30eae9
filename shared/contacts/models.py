"""A person somebody has to do with, and what they have to do with an application."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from shared.fields import NO_NUL, Changes, Email, Moment, Name, PageQuery, Prose, Request, Response, WebAddress

Sort = Literal["name", "-name", "created_at", "-created_at"]
CompanyName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500), NO_NUL]
Phone = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=50), NO_NUL]
Search = Annotated[str, StringConstraints(min_length=1, max_length=200), NO_NUL]
Role = Annotated[Name, Field(description="What they have to do with it: recruiter, interviewer, referral, ...")]


class ContactDraft(Request):
    """A contact as its owner writes it down. Their company: by its id or by its name, not both."""

    company_id: UUID | None = None
    company: CompanyName | None = Field(None, description="The company of that name, made if there is none.")
    name: Name
    title: Name | None = None
    email: Email | None = None
    phone: Phone | None = None
    url: WebAddress | None = None
    notes: Prose | None = None

    @model_validator(mode="after")
    def _names_one_company(self) -> "ContactDraft":
        if self.company_id is not None and self.company is not None:
            raise PydanticCustomError("company", "either company_id or company can be given")
        return self


class ContactChanges(Changes):
    """What to change; what is left out stays, null empties. Another company: by its id or by its name, not both."""

    company_id: UUID | None = None
    company: CompanyName | None = Field(None, description="The company of that name, made if there is none.")
    name: Name = ""
    title: Name | None = None
    email: Email | None = None
    phone: Phone | None = None
    url: WebAddress | None = None
    notes: Prose | None = None

    @model_validator(mode="after")
    def _names_one_company(self) -> "ContactChanges":
        if {"company_id", "company"} <= self.model_fields_set:
            raise PydanticCustomError("company", "either company_id or company can be given")
        return self


class Contact(Response):
    """A contact as it is kept."""

    id: UUID
    company_id: UUID | None
    company: str | None
    name: str
    title: str | None
    email: str | None
    phone: str | None
    url: str | None
    notes: str | None
    created_at: Moment
    updated_at: Moment
    version: int


class ContactLink(Request):
    """Somebody who has to do with an application: a contact by its id, or a new one by its name and what else."""

    contact_id: UUID | None = None
    role: Role | None = None
    company_id: UUID | None = None
    company: CompanyName | None = None
    name: Name | None = None
    title: Name | None = None
    email: Email | None = None
    phone: Phone | None = None
    url: WebAddress | None = None
    notes: Prose | None = None

    @model_validator(mode="after")
    def _names_one_contact(self) -> "ContactLink":
        is_new = any(value is not None for field, value in self if field not in ("contact_id", "role"))
        if (self.contact_id is not None) == is_new:
            raise PydanticCustomError("contact", "either contact_id or the fields of a new contact are needed")
        if is_new and self.name is None:
            raise PydanticCustomError("contact", "a new contact needs a name")
        if self.company_id is not None and self.company is not None:
            raise PydanticCustomError("company", "either company_id or company can be given")
        return self


class LinkChanges(Changes):
    """What a contact has to do with an application; null empties."""

    role: Role | None = None


class LinkedContact(Response):
    """A contact, and what they have to do with an application. The times and the version are those of the link."""

    id: Annotated[UUID, Field(description="The contact's.")]
    company_id: UUID | None
    company: str | None
    name: str
    title: str | None
    email: str | None
    phone: str | None
    url: str | None
    notes: str | None
    role: str | None
    created_at: Moment
    updated_at: Moment
    version: int


class ContactQuery(PageQuery):
    """Which contacts to list, and in which order."""

    q: Search | None = Field(None, description="Part of the name, e-mail address, title or company.")
    company_id: UUID | None = Field(None, description="Those of that company.")
    sort: Sort = Field("name", description="`-` puts the greatest first.")


class LinkQuery(PageQuery):
    """How many of an application's contacts to list, the latest linked first."""
