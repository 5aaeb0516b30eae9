"""Fetching a page that a stranger names, without becoming their way into places that only we can reach.

A name is resolved here, once, by us. Every address it has must be a public one, and the connection goes to exactly one
of those that were checked: nothing resolves the name again, so it cannot mean something else a moment later. TLS is
verified against the name all the same. Each redirect is a new address and is treated as one.
"""

import asyncio
import ssl
import zlib
from collections.abc import AsyncIterator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_address
from socket import AF_INET6, SOCK_STREAM, getaddrinfo
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import httpcore
    import httpx

PATIENCE = 10.0
"""Seconds for all of it: names, connections, redirects, and the last byte."""

CONNECT_PATIENCE = 3.0
"""Seconds for one connection, before the host's next address is tried."""

MAX_PAGE = 2 * 1024 * 1024
"""Bytes of a page, as they come and unpacked."""

MAX_REDIRECTS = 5
MAX_ADDRESSES = 4
"""Addresses of one host that are tried."""

MEDIA_TYPES = ("text/html", "application/xhtml+xml", "application/ld+json")
REDIRECTS = (301, 302, 303, 307, 308)
PORTS = {"http": 80, "https": 443}

PUBLIC_IPV6 = IPv6Network("2000::/3")
"""All that IANA gives out as global unicast (RFC 4291). Outside of it are mapped and translated IPv4 addresses
(::ffff:0:0/96, ::/96, 64:ff9b::/96, 64:ff9b:1::/48), and everything local."""

NOT_PUBLIC = (
    IPv4Network("0.0.0.0/8"),
    IPv4Network("100.64.0.0/10"),  # shared by a carrier's customers (RFC 6598), and some clouds' metadata
    IPv4Network("168.63.129.16/32"),  # the Azure platform, as its machines see it
    IPv4Network("192.0.0.0/24"),  # protocols (RFC 6890), and some clouds' metadata
    IPv4Network("192.88.99.0/24"),  # relays of 6to4 (RFC 7526)
    IPv6Network("2001::/23"),  # protocols; Teredo (RFC 4380), which carries an IPv4 address
    IPv6Network("2002::/16"),  # 6to4 (RFC 3056), which carries one too
    IPv6Network("3fff::/20"),  # documentation (RFC 9637)
)
"""Addresses that ``ipaddress`` takes for public, in some version of Python, and that are not."""

Reason = Literal["unreachable", "timeout", "status", "redirects", "not_a_page", "too_large"]

_resolvers = ThreadPoolExecutor(8, "resolver")
"""Threads of their own: a name server that never answers holds up other fetches at most, and no password's hash."""


class Refused(Exception):
    """The address is none that is fetched. Which of the reasons it was is told to nobody."""


class Failed(Exception):
    """The page could not be had."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Page:
    """What was found at the end of all redirects."""

    url: str
    media_type: str
    charset: str | None
    body: bytes


async def fetch(url: str, *, user_agent: str, allow_private: bool = False) -> Page:
    """The page at ``url``.

    ``allow_private`` lets in every address and port: for tests, on machines with nothing to protect.

    Raises:
        Refused: it, or where it redirects to, is no public address.
        Failed: no page came, or too much, or something else.
    """
    import httpcore  # not at start: only captures need it
    import httpx

    try:
        async with asyncio.timeout(PATIENCE):
            place, was_encrypted = _parsed(url), False
            for _ in range(MAX_REDIRECTS + 1):
                if was_encrypted and place.scheme != "https":
                    raise Failed("redirects")
                was_encrypted = place.scheme == "https"
                found = await _get(place, user_agent=user_agent, allow_private=allow_private)
                if isinstance(found, Page):
                    return found
                try:
                    place = place.join(found)
                except (httpx.InvalidURL, ValueError):
                    raise Refused from None
            raise Failed("redirects")
    except TimeoutError:
        raise Failed("timeout") from None
    except httpcore.TimeoutException:
        raise Failed("timeout") from None
    except (httpcore.NetworkError, httpcore.ProtocolError, ssl.SSLError, OSError):
        raise Failed("unreachable") from None


def is_public(address: str) -> bool:
    """Whether anybody on the internet can reach this address just as we can."""
    try:
        ip = ip_address(address)
    except ValueError:  # with a zone, which means something to this machine only
        return False
    if not ip.is_global or ip.is_multicast or ip.is_unspecified or ip.is_reserved:
        return False
    if any(ip in network for network in NOT_PUBLIC if network.version == ip.version):
        return False
    return isinstance(ip, IPv4Address) or ip in PUBLIC_IPV6


async def resolve(host: str, port: int) -> list[str]:
    """Every address the host has, IPv4 first: many of our own networks have nothing else."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.run_in_executor(_resolvers, lambda: getaddrinfo(host, port, type=SOCK_STREAM))
    except (OSError, UnicodeError):
        return []
    ordered = sorted(found, key=lambda entry: entry[0] == AF_INET6)
    return list(dict.fromkeys(str(entry[4][0]) for entry in ordered))


@lru_cache(maxsize=1)
def trust() -> ssl.SSLContext:
    """Whose certificates are believed: those that httpx brings along, whatever the environment says."""
    import httpx

    return httpx.create_ssl_context(trust_env=False)


def _parsed(url: str) -> "httpx.URL":
    import httpx

    try:
        return httpx.URL(url)
    except (httpx.InvalidURL, ValueError):
        raise Refused from None


async def _get(place: "httpx.URL", *, user_agent: str, allow_private: bool) -> Page | str:
    """The page there, or where it redirects to."""
    import httpcore

    addresses = await _allowed(place, allow_private=allow_private)
    headers = [
        (b"Host", place.netloc),
        (b"User-Agent", user_agent.encode("ascii", "ignore")),
        (b"Accept", ", ".join(MEDIA_TYPES).encode()),
        (b"Accept-Encoding", b"gzip, identity"),
        (b"Connection", b"close"),
    ]
    url = httpcore.URL(
        scheme=place.raw_scheme, host=place.raw_host, port=place.port or PORTS[place.scheme], target=place.raw_path
    )
    async with (
        # A pool of its own for each request: no connection, and so no check, is ever used twice. httpcore itself knows
        # no cookies, no proxies of the environment, no redirects and no encodings: what happens stands here.
        httpcore.AsyncConnectionPool(ssl_context=trust(), network_backend=_backend(addresses)) as pool,
        pool.stream(b"GET", url, headers=headers) as response,
    ):
        given = _headers(response.headers)
        if response.status in REDIRECTS and "location" in given:
            return given["location"]
        if response.status != 200:
            raise Failed("status")
        media_type, _, parameters = given.get("content-type", "").partition(";")
        if media_type.strip().lower() not in MEDIA_TYPES:
            raise Failed("not_a_page")
        body = await _body(response.aiter_stream(), encoding=given.get("content-encoding", "identity").strip().lower())
    return Page(str(place), media_type.strip().lower(), _charset(parameters), body)


async def _allowed(place: "httpx.URL", *, allow_private: bool) -> Sequence[str]:
    """The addresses that may be connected to.

    Raises:
        Refused: there are none, or not all that the host has are public.
    """
    if place.scheme not in PORTS or not place.host or place.userinfo:
        raise Refused
    port = place.port or PORTS[place.scheme]
    if port != PORTS[place.scheme] and not allow_private:
        raise Refused
    addresses = await resolve(place.raw_host.decode("ascii").strip("[]"), port)
    if not addresses or not (allow_private or all(map(is_public, addresses))):
        raise Refused
    return addresses[:MAX_ADDRESSES]


def _backend(addresses: Sequence[str]) -> "httpcore.AsyncNetworkBackend":
    """How connections are made: to these addresses, whatever host is asked for."""
    import httpcore

    class Pinned(httpcore.AnyIOBackend):
        async def connect_tcp(
            self,
            host: str,  # noqa: ARG002 - that is the point
            port: int,
            timeout: float | None = None,  # noqa: ARG002, ASYNC109 - ours is the one
            local_address: str | None = None,
            socket_options: Iterable[Any] | None = None,
        ) -> httpcore.AsyncNetworkStream:
            *others, last = addresses
            for address in others:
                try:
                    return await super().connect_tcp(address, port, CONNECT_PATIENCE, local_address, socket_options)
                except (httpcore.ConnectError, httpcore.ConnectTimeout):
                    continue
            return await super().connect_tcp(last, port, CONNECT_PATIENCE, local_address, socket_options)

    return Pinned()


async def _body(chunks: AsyncIterator[bytes], *, encoding: str) -> bytes:
    """All of a body, unpacked, as far as it is within MAX_PAGE either way."""
    if encoding not in ("identity", "", "gzip", "x-gzip"):
        raise Failed("not_a_page")
    unpacking = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS) if "gzip" in encoding else None
    body, came = bytearray(), 0
    async for chunk in chunks:
        came += len(chunk)
        try:
            # Never asked for more than is still allowed, a bomb has no room to go off.
            body += unpacking.decompress(chunk, MAX_PAGE + 1 - len(body)) if unpacking else chunk
        except zlib.error:
            raise Failed("not_a_page") from None
        if max(came, len(body)) > MAX_PAGE:
            raise Failed("too_large")
    if unpacking and not unpacking.eof:
        raise Failed("not_a_page")
    return bytes(body)


def _headers(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Headers by their names; of one that comes twice, the first."""
    given: dict[str, str] = {}
    for name, value in raw:
        given.setdefault(name.decode("latin-1").lower(), value.decode("latin-1"))
    return given


def _charset(parameters: str) -> str | None:
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            return value.strip().strip("\"'").lower() or None
    return None
