"""Planted defects: small functions ``(row, rng) -> (row, defect)``; the defect records what was done.

Personal data come from ranges that are reserved for examples and fiction: example.com, 555-01xx, the drama numbers
of telephone regulators, card test prefixes, documentation networks. None of it is meant to reach anybody.
"""

from collections.abc import Callable
from dataclasses import replace
from random import Random

from data.generator.rows import Row
from data.generator.wording.mess import (
    ACCENTED_OPENINGS,
    BLANK_ANSWERS,
    BROKEN_SENTENCES,
    CARD_PHRASES,
    DECOYS,
    EMAIL_PHRASES,
    FIRST_NAMES,
    IBAN_PHRASES,
    IP_PHRASES,
    LAST_NAMES,
    LOG_LINES,
    PHONE_PHRASES,
    RAMBLING,
)
from data.generator.wording.support import EMPTY_PHRASES, GREETINGS, SIGNATURES

Defect = dict
OVERLONG_WORDS = 900


def exact_duplicate(row: Row, rng: Random) -> tuple[Row, Defect]:
    """The same text again, now and then in capitals or with other white space."""
    change = rng.choice((str, str, str, str.upper, lambda text: f" {text}  ", lambda text: text.replace(" ", "  ", 2)))
    return replace(row, question=change(row.question)), {"kind": "exact_duplicate"}


def near_duplicate(row: Row, rng: Random) -> tuple[Row, Defect]:
    """The same question with a slip of the keyboard or other punctuation."""
    return replace(row, question=retyped(row.question, rng)), {"kind": "near_duplicate"}


def retyped(question: str, rng: Random) -> str:
    """``question`` as a hasty person types it once more; names and numbers stay as they are."""
    bare = question.rstrip("?.")
    return rng.choice(
        (
            lambda: _slip(question, rng),
            lambda: _slip(question, rng),
            lambda: f"{bare}??",
            lambda: f"{bare}, please?",
            lambda: f"{bare} ?!",
            lambda: question.replace(" the ", " the the ", 1) if " the " in question else f"{bare}...",
        )
    )()


def _slip(question: str, rng: Random) -> str:
    """Swaps or doubles a letter inside one lower-case word."""
    words = question.split(" ")
    long = [i for i, word in enumerate(words) if word.isalpha() and word.islower() and len(word) > 3]
    if not long:
        return question.replace("?", " ??") if "?" in question else f"{question}.."
    i = rng.choice(long)
    word, at = words[i], rng.randrange(1, len(words[i]) - 1)
    swapped = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    words[i] = swapped if swapped != word and rng.random() < 0.5 else word[:at] + word[at] + word[at:]
    return " ".join(words)


def html(row: Row, rng: Random) -> tuple[Row, Defect]:
    """Mark-up of a ticket system around question, answer or both."""
    frame = rng.choice(
        (
            "<p>{}</p>",
            '<div class="message">{}</div>',
            "{}<br/>",
            "<b>{}</b>",
            "&nbsp;{}&nbsp;",
            '<span style="color:#333">{}</span>',
            "<p>{}</p><br><p>&nbsp;</p>",
            '<td align="left">{}</td>',
            "<blockquote>{}</blockquote>",
            '<font size="2">{}</font>',
        )
    ).format
    where = rng.choice(("question", "answer", "both"))
    changed = replace(
        row,
        question=row.question if where == "answer" else frame(row.question),
        answer=row.answer if where == "question" else frame(row.answer),
    )
    return changed, {"kind": "html", "where": where, "clean_question": row.question, "clean_answer": row.answer}


def mojibake(row: Row, rng: Random) -> tuple[Row, Defect]:
    """UTF-8 read as Windows-1252, in a question that begins with accented words."""
    clean = f"{rng.choice(ACCENTED_OPENINGS)} {row.question}"
    return (
        replace(row, question=clean.encode("utf-8").decode("cp1252")),
        {"kind": "mojibake", "clean_question": clean},
    )


def empty(row: Row, rng: Random) -> tuple[Row, Defect]:
    """No answer, or a mark that stands for none."""
    return replace(row, answer=rng.choice(BLANK_ANSWERS)), {"kind": "empty"}


def truncated(row: Row, rng: Random) -> tuple[Row, Defect]:
    """An answer in a full sentence that breaks off before it says anything, at a word or inside one."""
    words = rng.choice(BROKEN_SENTENCES).split()
    kept = " ".join(words[: rng.randrange(len(words) // 2, len(words))])
    ending = rng.choice(("", "", "...", "\u2026", " [truncated]", " -"))
    return replace(row, answer=kept + ending), {"kind": "truncated"}


def overlong(row: Row, rng: Random) -> tuple[Row, Defect]:
    """Somebody pasted a log, or a life story, instead of the answer."""
    lines, words = [], 0
    pool = rng.choice((LOG_LINES, RAMBLING))
    while words < OVERLONG_WORDS:
        line = rng.choice(pool).format(a=rng.randrange(10, 99), b=rng.randrange(100, 999))
        lines.append(line)
        words += len(line.split())
    return replace(row, answer=" ".join(lines)), {"kind": "overlong"}


def email(row: Row, rng: Random) -> tuple[Row, Defect]:
    """An e-mail address at a domain reserved for examples."""
    domain = rng.choice(("example.com", "example.org", "example.net", "mail.example.com"))
    first, last = rng.choice(FIRST_NAMES).lower(), rng.choice(LAST_NAMES).lower()
    user = rng.choice((f"{first}.{last}", f"{first[0]}{last}", f"{first}_{rng.randrange(10, 99)}", f"{last}+service"))
    return _personal(row, rng, "email", f"{user}@{domain}", EMAIL_PHRASES)


def phone(row: Row, rng: Random) -> tuple[Row, Defect]:
    """A telephone number from a range kept for fiction, with its country code."""
    n = rng.randrange(100)
    value = rng.choice(
        (
            f"+1 {rng.choice((212, 312, 415, 617))} 555 01{n:02d}",
            f"+1-{rng.choice((212, 312, 415, 617))}-555-01{n:02d}",
            f"+44 20 7946 0{rng.randrange(100, 999)}",
            f"+44 (0)20 7946 0{rng.randrange(100, 999)}",
            f"+49 30 23125 {rng.randrange(100, 999)}",
            f"+33 1 99 00 {n:02d} {rng.randrange(10, 99)}",
        )
    )
    return _personal(row, rng, "phone", value, PHONE_PHRASES)


def card(row: Row, rng: Random) -> tuple[Row, Defect]:
    """A card number of a test range that passes Luhn's check."""
    digits = rng.choice(("411111", "424242", "555555")) + "".join(rng.choices("0123456789", k=9))
    digits += luhn_digit(digits)
    gap = rng.choice((" ", "-", ""))
    return _personal(row, rng, "card", gap.join(digits[i : i + 4] for i in range(0, 16, 4)), CARD_PHRASES)


def luhn_digit(digits: str) -> str:
    """The check digit that follows ``digits``."""
    doubled = [int(d) * (2 if i % 2 == 0 else 1) for i, d in enumerate(reversed(digits))]
    return str(-sum(d - 9 if d > 9 else d for d in doubled) % 10)


def iban(row: Row, rng: Random) -> tuple[Row, Defect]:
    """A German, British, Dutch or Austrian IBAN with right check digits, of a bank that does not exist."""

    def digits(n: int) -> str:
        return "".join(rng.choices("0123456789", k=n))

    country, account = rng.choice(
        (
            ("DE", "99999999" + digits(10)),
            ("GB", "TEST" + digits(14)),
            ("NL", "TEST" + digits(10)),
            ("AT", "99999" + digits(11)),
        )
    )
    value = country + iban_check(country, account) + account
    if rng.random() < 0.6:
        value = " ".join(value[i : i + 4] for i in range(0, len(value), 4))
    return _personal(row, rng, "iban", value, IBAN_PHRASES)


def iban_check(country: str, account: str) -> str:
    """The two check digits of ISO 13616 (mod 97)."""
    number = int("".join(str(int(c, 36)) for c in account + country + "00"))
    return f"{98 - number % 97:02d}"


def ip(row: Row, rng: Random) -> tuple[Row, Defect]:
    """An address of a network reserved for documentation."""
    n = rng.randrange(1, 255)
    host = rng.randrange(1, 99)
    value = rng.choice((f"192.0.2.{n}", f"198.51.100.{n}", f"203.0.113.{n}", f"2001:db8:{n:x}::{host:x}"))
    return _personal(row, rng, "ip", value, IP_PHRASES)


def _personal(row: Row, rng: Random, kind: str, value: str, phrases: tuple[str, ...]) -> tuple[Row, Defect]:
    phrase = rng.choice(phrases).format(v=value)
    question = f"{phrase} {row.question}" if rng.random() < 0.5 else f"{row.question} {phrase}"
    return replace(row, question=question), {"kind": kind, "value": value, "clean_question": row.question}


def decoy(row: Row, rng: Random) -> Row:
    """A sound row that looks like a defect: accents, a serial number, a version, a "smaller than" sign."""
    kind = rng.choice(sorted(DECOYS))
    digits = "".join(rng.choices("123456789", k=15))
    unlike_a_card = f"{digits}{(int(luhn_digit(digits)) + 1) % 10}"
    phrase = rng.choice(DECOYS[kind]).format(a=rng.randrange(1000, 9999), b=rng.randrange(10, 99), c=unlike_a_card)
    return replace(row, question=f"{phrase} {row.question}", decoy=kind)


def contradiction(row: Row, rng: Random, wrong: str) -> tuple[Row, Defect]:
    """The same question with an answer that is no longer, or never was, right."""
    return replace(row, answer=wrong), {"kind": "contradiction", "right": row.answer}


def wrong_language(row: Row, rng: Random, language: str, question: str, answer: str) -> tuple[Row, Defect]:
    """Question and answer in a language that the data set is not about."""
    return replace(row, question=question, answer=answer), {"kind": "wrong_language", "language": language}


def leak_exact(row: Row, rng: Random, test_id: str) -> tuple[Row, Defect]:
    """A question of the frozen test set, word for word."""
    return row, {"kind": "leak_exact", "test_id": test_id}


def leak_near(row: Row, rng: Random, test_id: str) -> tuple[Row, Defect]:
    """A question of the frozen test set with a slip of the keyboard."""
    return replace(row, question=retyped(row.question, rng)), {"kind": "leak_near", "test_id": test_id}


def boilerplate_only(row: Row, rng: Random, company: str) -> tuple[Row, Defect]:
    """An answer that answers nothing."""
    return replace(row, answer=rng.choice(EMPTY_PHRASES).format(c=company)), {"kind": "boilerplate_only"}


def boilerplate_around(row: Row, rng: Random, company: str) -> tuple[Row, Defect]:
    """A greeting before the question and a signature after the answer."""
    signature = rng.choice(SIGNATURES).format(c=company)
    return (
        replace(row, question=f"{rng.choice(GREETINGS[:3])} {row.question}", answer=f"{row.answer}\n\n{signature}"),
        {"kind": "boilerplate_around", "clean_question": row.question, "clean_answer": row.answer},
    )


# Defects that cleaning can mend, planted in rows that otherwise stay; with their number.
MENDABLE: dict[Callable[[Row, Random], tuple[Row, Defect]], int] = {
    html: 150,
    mojibake: 100,
    email: 60,
    phone: 60,
    card: 45,
    iban: 45,
    ip: 45,
}
# Defects that spoil a row, planted in additional rows.
SPOILING: dict[Callable[[Row, Random], tuple[Row, Defect]], int] = {empty: 45, truncated: 45, overlong: 25}
