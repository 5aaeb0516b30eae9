"""Does the time of a refused sign-in tell whether there is an account? Welch's t over calls in random order.

Each kind of refusal is compared with the wrong password of an ordinary account; so is a second sample of that same
kind, which shows what t is by chance on this machine. Beyond 4.5 a difference is taken for real, as dudect does
(Reparaz, Balasch, Verbauwhede: "Dude, is my code constant time?", 2017); the slowest tenth of all calls is left out,
because it measures the machine.
"""

import json
import random
from math import sqrt
from statistics import fmean, median, variance
from time import perf_counter

import psycopg

from benchmarks.machine import command_line, description, say, table
from benchmarks.servers import PASSWORD, Program, User, add_database, database, postgresql, serving

CALLS = 400
WARM_UP = 20
WRONG = "not the password of anybody"

# Whose address, and which password: what makes the account refuse is in PREPARE.
KINDS = {
    "wrong password": (User.number(1).email, WRONG),
    "wrong password, again": (User.number(1).email, WRONG),
    "no account": ("nobody@example.com", WRONG),
    "disabled, right password": (User.number(2).email, PASSWORD),
    "disabled, wrong password": (User.number(2).email, WRONG),
    "without a password (OAuth only)": (User.number(3).email, WRONG),
    "with a second factor, wrong password": (User.number(4).email, WRONG),
    "unverified, wrong password": (User.number(5).email, WRONG),
}
PREPARE = """
UPDATE users SET email_verified_at = now() WHERE email <> 'user5@example.com';
UPDATE users SET disabled_at = now() WHERE email = 'user2@example.com';
UPDATE users SET password_hash = NULL WHERE email = 'user3@example.com';
UPDATE users SET second_factor_at = now() WHERE email = 'user4@example.com';
"""


def main(arguments: list[str]) -> None:
    parser = command_line("timing", __doc__)
    parser.add_argument("--calls", type=int, default=CALLS, help="of each kind (default: %(default)s)")
    add_database(parser)
    options = parser.parse_args(arguments)
    with postgresql(options.database) as server, database(server, "ours") as ours:
        with psycopg.connect(ours.url, autocommit=True) as connection:
            connection.execute(PREPARE)
        settings = {"REQUIRE_VERIFIED_EMAIL": "true", "MAIL_AT_ONCE": "false"}
        with serving("ours", ours, "host", **settings) as program:
            took = measure(program, options.calls)
    rows = compare(took)
    print(f"{options.calls} calls of each kind, one after another; {description()}\n")
    print(table(("refused because", "median ms", "difference µs", "t"), rows, markdown=options.markdown))


def measure(program: Program, calls: int) -> dict[str, list[float]]:
    """Seconds of every call, kind by kind; all kinds take part in the machine's good and bad moments alike."""
    order = [kind for kind in KINDS for _ in range(calls)]
    random.Random(1).shuffle(order)
    took: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for number, kind in enumerate([*KINDS] * WARM_UP + order):
        email, password = KINDS[kind]
        content = json.dumps({"email": email, "password": password})
        began = perf_counter()
        status, answer = program.call("POST", "/api/auth/login", content, "")
        seconds = perf_counter() - began
        if status != 401:
            raise SystemExit(f"{kind}: was answered {status}: {answer}")
        if number >= WARM_UP * len(KINDS):
            took[kind].append(seconds)
        if number % 500 == 0:
            say(f"{number} calls")
    return took


def compare(took: dict[str, list[float]]) -> list[tuple[str, str, str, str]]:
    """A row of the table for each kind."""
    everything = sorted(seconds for sample in took.values() for seconds in sample)
    longest = everything[len(everything) * 9 // 10]
    kept = {kind: [seconds for seconds in sample if seconds <= longest] for kind, sample in took.items()}
    (first, reference), *others = kept.items()
    rows = [(first, f"{median(reference) * 1e3:.2f}", "", "")]
    for kind, sample in others:
        difference = (fmean(sample) - fmean(reference)) * 1e6
        rows.append((kind, f"{median(sample) * 1e3:.2f}", f"{difference:+.0f}", f"{welch(sample, reference):+.2f}"))
    return rows


def welch(a: list[float], b: list[float]) -> float:
    """Welch's t of two samples."""
    return (fmean(a) - fmean(b)) / sqrt(variance(a) / len(a) + variance(b) / len(b))
