"""Which function answers a request: the Functions host's route templates, and the order it tries them in.

The templates are ASP.NET Core's attribute routes, without precedence: the host tries its functions in the
alphabetical order of their names, and a function that does not list the request's method does not match at all
(Azure/azure-functions-host issues 6062 and 9876). So a catch-all whose name sorts last answers what no other does.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar
from urllib.parse import unquote

T = TypeVar("T")
Check = Callable[[str], bool]

# Stands for an encoded slash until the path is split: a lone surrogate, which decoding never yields.
ENCODED_SLASH = "\udc2f"
MOST_SHAPES = 4096  # kinds of paths remembered; an app of a hundred routes has some hundreds
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class TemplateError(ValueError):
    """A route template that the Functions host would refuse, or whose form this host does not know."""


def decode_path(raw: bytes) -> str:
    """A request's path for ``Table.match``. Escapes that mean nothing are kept as they are."""
    path = raw.decode("latin-1")
    if "%" not in path:
        return path
    return "/".join(unquote(segment).replace("/", ENCODED_SLASH) for segment in path.split("/"))


@dataclass(frozen=True, slots=True)
class Entry(Generic[T]):
    """A function in the table; ``methods`` None stands for every method, as in ``function.json``."""

    name: str
    methods: frozenset[str] | None
    template: "Template"
    target: T

    def accepts(self, method: str) -> bool:
        return self.methods is None or method in self.methods


class Table(Generic[T]):
    """The routes of an app, ready to be searched."""

    def __init__(self, entries: Iterable[Entry[T]]) -> None:
        # .NET's ordinal order without regard to case, as the host sorts its functions
        self._ordered = sorted(entries, key=lambda entry: entry.name.upper())
        self._words = {word for entry in self._ordered for word in entry.template.words if word is not None}
        self._candidates: dict[tuple[str, ...], list[Entry[T]]] = {}
        # What answers a literal path is known now, so that most requests need one look-up and no search.
        self._known: dict[tuple[str, str], tuple[T, Mapping[str, str]]] = {}
        for literal in {e.template.literal for e in self._ordered if e.template.literal is not None}:
            for method in METHODS:
                found = self._search(method, literal)
                if found and not found[1]:  # a parameter's value would have lost its case here
                    self._known[method, literal] = found

    def match(self, method: str, path: str) -> tuple[T, Mapping[str, str]] | None:
        """The first function for a path from ``decode_path`` and its path parameters; None if there is none."""
        found = self._known.get((method, path))
        if found is None:
            path = path.removesuffix("/")
            found = self._known.get((method, path.lower())) or self._search(method, path)
        return found

    def _search(self, method: str, path: str) -> tuple[T, Mapping[str, str]] | None:
        # Paths that differ only in words no route knows, such as ids, meet the same routes.
        known = self._words
        shape = (method, *[word if word in known else "" for word in path.lower().split("/")[1:]])
        candidates = self._candidates.get(shape)
        if candidates is None:
            words = shape[1:]
            candidates = [e for e in self._ordered if e.accepts(method) and e.template.could_match(words)]
            if len(self._candidates) < MOST_SHAPES:
                self._candidates[shape] = candidates
        for entry in candidates:
            values = entry.template.match(path)
            if values is not None:
                return entry.target, values
        return None


class Template:
    """A route template: ``api/users/{id:int}``, ``files/{*path}``, ``calendar/{token}.ics``, ``{page=1}``."""

    def __init__(self, text: str, *, prefix: str = "") -> None:
        """
        Raises:
            TemplateError: the template is malformed or uses an unknown constraint; the message quotes it.
        """
        if text.startswith(("/", "~")):
            raise TemplateError(f"Route {text!r}: it must not begin with a slash or a tilde.")
        whole = f"{prefix}/{text}".strip("/")
        try:
            segments = [_Segment(part) for part in _split(whole)] if whole else []
            parameters = [parameter for segment in segments for parameter in segment.parameters]
            if len({parameter.name.lower() for parameter in parameters}) < len(parameters):
                raise TemplateError("a parameter occurs twice.")
            if any(segment.catch_all for segment in segments[:-1]):
                raise TemplateError("a catch-all must be the last segment.")
            if any(segment.parameters[0].optional for segment in segments[:-1] if segment.parameters):
                raise TemplateError("an optional parameter must be the last segment.")
        except TemplateError as error:
            raise TemplateError(f"Route {text!r}: {error}") from None
        required = len(segments)
        while required and segments[required - 1].may_be_absent:
            required -= 1
        pattern = "".join(f"/{segment.pattern}" for segment in segments[:required])
        for segment in segments[required:]:
            pattern += f"(?:/{segment.pattern}"
        pattern += ")?" * (len(segments) - required)

        self.words = [None if segment.parameters else segment.literal for segment in segments]
        self._fewest = required
        self._most = math.inf if segments and segments[-1].catch_all else len(segments)
        self.literal = None if parameters else "".join(f"/{segment.literal}" for segment in segments)
        self._matches = re.compile(pattern, re.IGNORECASE | re.DOTALL).fullmatch
        self._parameters = parameters
        self._names = [parameter.name for parameter in parameters]
        self._plain = not any(p.checks or p.default is not None or p.optional or p.catch_all for p in parameters)

    def could_match(self, words: Sequence[str]) -> bool:
        """Whether a path of these segments, in lower case, may be this template's: its literal segments agree."""
        return self._fewest <= len(words) <= self._most and all(
            word is None or word == given for word, given in zip(self.words, words, strict=False)
        )

    def match(self, path: str) -> Mapping[str, str] | None:
        """The decoded path parameters, or None when the path is not this template's."""
        match = self._matches(path)
        if match is None:
            return None
        if self._plain and ENCODED_SLASH not in path:
            return dict(zip(self._names, match.groups(), strict=True))
        values: dict[str, str] = {}
        for parameter, found in zip(self._parameters, match.groups(), strict=True):
            if found:
                value = found.replace(ENCODED_SLASH, "/")
                if not all(check(value) for check in parameter.checks):
                    return None
                values[parameter.name] = value
            elif parameter.default is not None:
                values[parameter.name] = parameter.default
        return values


@dataclass(frozen=True, slots=True)
class _Parameter:
    name: str
    checks: Sequence[Check]
    default: str | None
    optional: bool
    catch_all: bool

    @classmethod
    def parse(cls, text: str) -> "_Parameter":
        body, optional = (text[:-1], True) if text.endswith("?") else (text, False)
        match = re.fullmatch(
            r"(\*{0,2})([^*:=?/{}]+)((?::[a-z]+(?:\((?:[^()]|\([^()]*\))*\))?)*)(?:=(.*))?", body, re.IGNORECASE
        )
        if match is None:
            raise TemplateError(f"{{{text}}} is not a parameter.")
        stars, name, constraints, default = match.groups()
        if optional and (default is not None or stars):
            raise TemplateError(f"{{{text}}} cannot be optional as well.")
        parts = re.findall(r":([a-z]+)(?:\(((?:[^()]|\([^()]*\))*)\))?", constraints, re.IGNORECASE)
        checks = [_check(constraint, argument) for constraint, argument in parts]
        return cls(name, checks, default, optional, bool(stars))


class _Segment:
    """What stands between two slashes: text, a parameter, or both mixed."""

    def __init__(self, text: str) -> None:
        self.parameters: list[_Parameter] = []
        self.literal = self.pattern = ""
        for literal, parameter in _tokens(text):
            if literal:
                self.literal += literal.lower()
                self.pattern += re.escape(literal)
            else:
                self.parameters.append(_Parameter.parse(parameter))
                self.pattern += "(.*)" if self.parameters[-1].catch_all else "([^/]+)"
        alone = len(self.parameters) == 1 and not self.literal
        special = [p for p in self.parameters if p.catch_all or p.optional]
        if special and not alone:
            raise TemplateError(f"{{{special[0].name}}} must be alone in its segment.")
        self.catch_all = alone and self.parameters[0].catch_all
        self.may_be_absent = alone and (bool(special) or self.parameters[0].default is not None)


def _split(template: str) -> list[str]:
    """Cut a template at its slashes, except those inside braces."""
    segments, depth = [""], 0
    for character in template:
        depth += {"{": 1, "}": -1}.get(character, 0)
        if character == "/" and depth == 0:
            segments.append("")
        else:
            segments[-1] += character
    if not all(segments):
        raise TemplateError("it has an empty segment.")
    return segments


def _tokens(segment: str) -> Iterable[tuple[str, str]]:
    """A segment's pieces: (literal, "") or ("", parameter). Doubled braces stand for themselves."""
    position = 0
    while position < len(segment):
        if segment[position] == "{" and segment[position : position + 2] != "{{":
            end = position + 1
            while segment[end : end + 1] != "}" or segment[end : end + 2] == "}}":
                end += 2 if segment[end : end + 2] in ("{{", "}}") else 1
                if end >= len(segment):
                    raise TemplateError("a brace is not closed.")
            yield "", segment[position + 1 : end].replace("{{", "{").replace("}}", "}")
            position = end + 1
        else:
            literal = re.compile(r"(?:\{\{|\}\}|[^{}])+").match(segment, position)
            if literal is None:
                raise TemplateError("a brace is not opened.")
            yield literal[0].replace("{{", "{").replace("}}", "}"), ""
            position = literal.end()


def _check(name: str, argument: str) -> Check:
    """A constraint as a predicate. https://learn.microsoft.com/aspnet/core/fundamentals/routing#route-constraints"""
    try:
        make = _CONSTRAINTS[name.lower()]
    except KeyError:
        known = ", ".join(sorted(_CONSTRAINTS))
        raise TemplateError(f"unknown constraint {name!r}; the host knows {known}.") from None
    try:
        return make(argument)
    except (ValueError, re.error):
        raise TemplateError(f"constraint {name}({argument}) has a wrong argument.") from None


def _pattern(expression: str) -> Callable[[str], Check]:
    matches = re.compile(expression, re.IGNORECASE | re.ASCII).fullmatch
    return lambda _: lambda value: matches(value) is not None


def _integer(lowest: float, highest: float) -> Check:
    def holds(value: str) -> bool:
        # no more digits than 64 bits can have: int() gives up on thousands
        match = re.fullmatch(r"\s*([+-]?)0*([0-9]{1,19})\s*", value)
        return match is not None and lowest <= int(match[1] + match[2]) <= highest

    return holds


def _length(argument: str) -> Check:
    least, comma, most = argument.partition(",")
    low, high = int(least), int(most if comma else least)
    return lambda value: low <= len(value) <= high


def _range(argument: str) -> Check:
    low, _, high = argument.partition(",")
    return _integer(int(low), int(high))


def _regex(argument: str) -> Check:
    search = re.compile(argument, re.IGNORECASE).search
    return lambda value: search(value) is not None


def _datetime(value: str) -> bool:
    # .NET reads many more forms; ISO 8601 is the one that means the same everywhere
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


_LONG = 2**63
_PLAIN_GUID = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_GUID = rf"[0-9a-f]{{32}}|{_PLAIN_GUID}|\{{{_PLAIN_GUID}\}}|\({_PLAIN_GUID}\)"
_NUMBER = r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)"
_CONSTRAINTS: Mapping[str, Callable[[str], Check]] = {
    "int": lambda _: _integer(-(2**31), 2**31 - 1),
    "long": lambda _: _integer(-_LONG, _LONG - 1),
    "bool": _pattern("true|false"),
    "datetime": lambda _: _datetime,
    "decimal": _pattern(_NUMBER),
    "double": _pattern(_NUMBER + r"(e[+-]?[0-9]+)?"),
    "float": _pattern(_NUMBER + r"(e[+-]?[0-9]+)?"),
    "guid": _pattern(_GUID),
    "alpha": _pattern("[a-z]*"),
    "minlength": lambda argument: (lambda least: lambda value: len(value) >= least)(int(argument)),
    "maxlength": lambda argument: (lambda most: lambda value: len(value) <= most)(int(argument)),
    "length": _length,
    "min": lambda argument: _integer(int(argument), _LONG - 1),
    "max": lambda argument: _integer(-_LONG, int(argument)),
    "range": _range,
    "regex": _regex,
    "required": lambda _: bool,
}
