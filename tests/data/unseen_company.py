"""A second data set with planted defects, in other words and other shapes than the embedded company's.

The rows are about a bicycle shop and a web host. Every plant is written as it is met outside: exports of mail
programs, word processors and web shops. Beside each kind of defect stand look-alikes that are none.
"""

import random
import string
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

from tests.data.unseen_texts import BOILERPLATE_AROUND, BOILERPLATE_ONLY, CUT, EMPTY, FOREIGN, LOOKALIKES, MARKUP, WHOLE

PLACES = ("Lyon", "Oslo", "Porto", "Ghent", "Turin", "Leeds", "Graz", "Riga", "Cork", "Basel", "Malmo", "Split")
BIKES = ("Gravel Fox", "City Wren", "Trail Lynx", "Cargo Elk", "Road Swift", "Fold Mouse", "Alpine Ibex", "Delta Hare")
PARTS = ("rear brake", "front fork", "chain guard", "dynamo lamp", "saddle post", "gear cable", "pedal crank")
PLANS = ("Starter", "Studio", "Agency", "Campus", "Archive", "Relay", "Mirror", "Harbour")
ACCENTED = (
    "Café Müller says “it’s done” – 30 °C",
    "the fondue in Genève costs 5 €",
    "Mr Núñez said “not before May”",
)
TASKS = ("renew the certificate", "move a mailbox", "restore a backup", "add a subdomain", "raise the disk quota")
SAY = (
    "My note for the record: {} - so when is the {} in {} ready?",
    "Regarding the {1} for {2}: {0}. What comes next?",
)


def clean_pairs() -> list[tuple[str, str]]:
    """Questions and answers without a defect, all different."""
    pairs = []
    for n, bike in enumerate(BIKES):
        for m, part in enumerate(PARTS):
            question = f"Which tool do I need to replace the {part} of the {bike}?"
            pairs.append((question, f"You need a key of {3 + (n + m) % 6} mm."))
        for m, place in enumerate(PLACES):
            question = f"Is the {bike} in stock at the {place} branch?"
            pairs.append((question, f"There are {(5 * n + 3 * m) % 17 + 2} of them."))
    for n, plan in enumerate(PLANS):
        for m, task in enumerate(TASKS):
            answer = f"Open the panel, choose {plan} and press button {m + 1}; it takes {n + 2} minutes."
            pairs.append((f"How can I {task} on the {plan} plan?", answer))
    return pairs


def mangled(text: str, wrong: str, times: int = 1) -> str:
    """UTF-8 read in another encoding; what that encoding has no character for stays as a control character."""
    for _ in range(times):
        text = "".join(bytes([byte]).decode(wrong) if _has(byte, wrong) else chr(byte) for byte in text.encode("utf-8"))
    return text


def _has(byte: int, encoding: str) -> bool:
    try:
        bytes([byte]).decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _luhn(body: str) -> str:
    total = sum(sum(divmod(int(d) * (2 - n % 2), 10)) for n, d in enumerate(reversed(body)))
    return body + str(-total % 10)


def _digits(rng: random.Random, count: int) -> str:
    return "".join(rng.choices(string.digits, k=count))


def _token(rng: random.Random, count: int, letters: str = string.ascii_letters + string.digits) -> str:
    return "".join(rng.choices(letters, k=count))


def card(rng: random.Random) -> str:
    """A number that passes Luhn, of five issuers, in the groupings seen on receipts."""
    start, length = rng.choice((("4", 16), ("52", 16), ("37", 15), ("6011", 16), ("2221", 16)))
    number = _luhn(start + _digits(rng, length - len(start) - 1))
    sep = rng.choice(("", " ", "-"))
    cuts = (0, 4, 10, 15) if length == 15 else (0, 4, 8, 12, 16)
    return sep.join(number[a:b] for a, b in pairwise(cuts))


def iban(rng: random.Random) -> str:
    """A number with right check digits, of seven countries, whole, in fours, or in small letters."""
    country, shape = rng.choice(
        (
            ("FR", "d" * 10 + "a" + "d" * 12),
            ("NL", "aaaa" + "d" * 10),
            ("BE", "d" * 12),
            ("AT", "d" * 16),
            ("CH", "d" * 17),
            ("DK", "d" * 14),
            ("PL", "d" * 24),
        )
    )
    body = "".join(rng.choice(string.digits if c == "d" else string.ascii_uppercase) for c in shape)
    check = 98 - int("".join(str(int(c, 36)) for c in body + country + "00")) % 97
    whole = f"{country}{check:02d}{body}"
    fours = " ".join(whole[at : at + 4] for at in range(0, len(whole), 4))
    return rng.choice((whole, fours, whole.lower(), fours.replace(" ", "\N{NO-BREAK SPACE}")))


def phone(rng: random.Random) -> str:
    """Numbers of four countries as people type them."""
    d = partial(_digits, rng)
    return rng.choice(
        (
            f"+1-415-555-{d(4)}", f"(212) 664-{d(4)}", f"312.726.{d(4)}", f"+1 (617) 495-{d(4)}", f"020 7946 {d(4)}",
            f"+44 20 7946 {d(4)}", f"0161 496 {d(4)}", f"+49 (0)89 636-4{d(4)}", f"030/9018{d(4)}", f"089 6364{d(4)}",
            f"01 42 68 {d(2)} {d(2)}", f"+33 1 42 68 {d(2)} {d(2)}", f"tel:+3314268{d(4)}", f"0049 30 9018{d(4)}",
        )
    )  # fmt: skip


def email(rng: random.Random) -> str:
    """Addresses plain, tagged, and disguised."""
    name, host = rng.choice(("jo.park", "m_ruiz", "LENA.OTT", "t-vu+bikes", "o'neil", "k2")), _token(rng, 6).lower()
    return rng.choice(
        (
            f"{name}@{host}.example.org", f"<{name}@{host}.co.uk>", f"mailto:{name}@{host}.info",
            f"{name}(at){host}.de", f"{name} [at] {host} [dot] com", f"{name} at {host} dot com",
            f"{name}@{host}.travel", f'"{name}"@{host}.net',
        )
    )  # fmt: skip


def ip(rng: random.Random) -> str:
    """Addresses of both versions, bare, with a port, in brackets, in a URL, as a network."""
    v4 = ".".join(str(rng.randrange(11, 223)) for _ in range(4))
    groups = [f"{rng.randrange(4096, 65536):x}" for _ in range(7)]
    return rng.choice(
        (
            v4, f"{v4}:8443", f"[{v4}]", f"http://{v4}/login", f"{v4}/24", "2001:" + ":".join(groups),
            f"2a02::{groups[0]}", f"[2001:db8:{groups[1]}::{groups[2]}]:443", f"fe80::{groups[3]}:{groups[4]}%eth0",
        )
    )  # fmt: skip


def secret(rng: random.Random) -> str:
    """Keys and passwords; made at random, so that none is anybody's."""
    t = partial(_token, rng)
    return rng.choice(
        (
            "AKIA" + _token(rng, 16, string.ascii_uppercase + string.digits), "gh" + "p_" + t(36),
            "sk" + "_live_" + t(24), "xox" + "b-" + _digits(rng, 12) + "-" + t(24), "AIza" + t(35), f"Bearer {t(40)}",
            f"npm_{t(36)}", f"SG.{t(22)}.{t(43)}", f"postgres://app:{t(12)}@db/main", f"AccountKey={t(60)}==",
            f"Password: {t(9)}7!", f"passwort = {t(8)}9", f"client_secret={t(30)}", f"PWD={t(10)}4",
        )
    )  # fmt: skip


PERSONAL: dict[str, Callable[[random.Random], str]] = {
    "email": email, "phone": phone, "card": card, "iban": iban, "ip": ip, "secret": secret
}  # fmt: skip

SLIPS: tuple[Callable[[str], str], ...] = (
    lambda q: q.replace("the", "teh", 1),
    lambda q: q.replace("replace", "repalce").replace("stock", "stok").replace("plan?", "plna?"),
    lambda q: q.lower(),
    lambda q: q.upper().replace("?", "??"),
    lambda q: "Hello there, " + q[0].lower() + q[1:],
    lambda q: q.rstrip("?") + " please?",
    lambda q: q.replace(" ", "  ").replace("?", " ?"),
    lambda q: q.replace("the ", "", 1),
    lambda q: q.replace("Which", "Whcih").replace("Is ", "Iis ").replace("How", "Hwo"),
    lambda q: q.replace("?", ""),
)


class _Export:
    """Rows and what was planted in them, as they are added."""

    def __init__(self, seed: int):
        self.rng = random.Random(seed)
        self.raw: list[dict[str, Any]] = []
        self.truth: list[dict[str, Any]] = []

    def add(self, question: str, answer: str, kind: str = "", **more: Any) -> str:
        number = len(self.raw)
        row_id, created = f"u{number:05d}", f"2026-01-{number % 28 + 1:02d}"
        self.raw.append({"id": row_id, "question": question, "answer": answer, "created": created})
        defects = [{"kind": kind, **more}] if kind else []
        if question.startswith("Hello"):  # a greeting is a slip and boiler-plate at once
            defects.append({"kind": "boilerplate_around"})
        self.truth.append({"id": row_id, "defects": defects})
        return row_id

    def about(self, text: str, kind: str = "") -> None:
        """A question of its own around a text."""
        number = len(self.raw)
        letters = _token(self.rng, 5, string.ascii_uppercase)
        part, bike = f"{PARTS[number % 7]} {number}", f"{BIKES[number % 8]} {letters}"
        self.add(SAY[number % 2].format(text, part, bike), f"It should be ready in {number} days.", kind)

    def lot(self, asked: str, answer: str, kind: str = "") -> None:
        """A row whose question and answer name its number."""
        number = len(self.raw)
        self.add(asked.format(number), answer.replace("{}", str(number)), kind)


def _personal(export: _Export, each: int) -> None:
    for kind, make in PERSONAL.items():
        for _ in range(each):
            export.about(make(export.rng), kind)
    for text in LOOKALIKES:
        export.about(text)
        export.lot("Who looks after case {}?", text.replace("{", "(") + " is what the list of {} says.")


def _damaged(export: _Export, each: int) -> None:
    for n in range(each):
        shape = MARKUP[n % len(MARKUP)].format(f"the part {len(export.raw)} fits")
        export.lot("What is told about lot {}?", shape, "html")
        wrong, times = (("cp1252", 1), ("latin-1", 1), ("cp1252", 2), ("mac-roman", 1), ("latin-1", 2))[n % 5]
        said = mangled(ACCENTED[n % 3], wrong, times)
        export.lot(said + ": and what of lot {}?", "It left on day {}.", "mojibake")
        export.lot("How is lot {} packed?", EMPTY[n % len(EMPTY)], "empty")
        export.lot("How do I mount lot {}?", CUT[n % len(CUT)], "truncated")
        export.lot("How do I clean lot {}?", WHOLE[n % len(WHOLE)])
        question, answer = FOREIGN[n % len(FOREIGN)]
        export.lot(question + " ({})", answer + " {}.", "wrong_language")
        export.lot("Why is lot {} late?", BOILERPLATE_ONLY[n % len(BOILERPLATE_ONLY)], "boilerplate_only")
        around = BOILERPLATE_AROUND[n % len(BOILERPLATE_AROUND)].replace("{}", "It waits in hall {}.")
        export.lot("Where is lot {} now?", around, "boilerplate_around")


def _copied(export: _Export, each: int, pairs: list[tuple[str, str]], ids: list[str]) -> None:
    for n in range(each):
        at = (7 * n) % len(pairs)
        question, answer = pairs[at]
        export.add(SLIPS[n % len(SLIPS)](question), answer, "near_duplicate", of=ids[at])
        at = (7 * n + 3) % len(pairs)
        export.add(*pairs[at], "exact_duplicate", of=ids[at])


def _leaked(export: _Export, each: int) -> list[dict[str, Any]]:
    test = []
    for n in range(each):
        question, answer = f"Which colour has frame {900 + n} of the {BIKES[n % 8]}?", f"shade {n}"
        test.append({"id": f"t{n}", "question": question, "answer": answer})
        changed = question if n % 2 else SLIPS[n % 7](question).replace("colour", "color")
        export.add(changed, answer, "leak_exact" if n % 2 else "leak_near", test=f"t{n}")
    return test


def rows(seed: int = 7, each: int = 40) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[dict[str, Any]]]:
    """Raw rows, test rows and the truth.

    Args:
        seed: of every choice.
        each: rows planted of each kind.
    """
    export, pairs = _Export(seed), clean_pairs()
    ids = [export.add(question, answer) for question, answer in pairs]
    _personal(export, each)
    _damaged(export, each)
    _copied(export, each, pairs, ids)
    return export.raw, _leaked(export, each), export.truth
