"""Personal data is found, and numbers that only look like it are not."""

import json
import time
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftlib.data import privacy
from ftlib.data.checks import Checker, Overhead
from ftlib.data.habits import Habits
from ftlib.data.table import Entry
from ftlib.recipe import DataRecipe
from tests.data import made

KINDS = ("email", "phone", "card", "iban", "ip", "secret")
REGIONS = ("US", "GB", "DE", "FR")


def masked(text, kinds=KINDS, **options):
    return privacy.mask(text, privacy.scan(text, kinds, REGIONS, **options))


# Drawn by chance; no key of anybody's.
R = "h7Kp2VxQm9TzLw4NcB8sYdJ5rGf3EaU6oXq1ZtWi0PnMvRkSbHyCjDgAeFuLlO"
X = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
BASE64 = "bqV3sZkHt+0LwPz8/yXnR2mJcFd5GuTaEoKi7W1rQvNxSpYlAfBhCgUeDjM946I\n" * 3


def block(label):
    return f"-----BEGIN {label}-----\n{BASE64}-----END {label}-----"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mail anna.k+x@mail.example.com now", "mail [email] now"),
        ("bob [at] example.org", "[email]"),
        ("lea.haddad (AT) kestrel (DOT) org", "[email]"),
        ("f.müller@bücher-köln.de, anna%40lumina.it, jo@lumina.it", "[email], [email], [email]"),
        ("reach priya at blauwal dot com or j.lind @ lumina.it", "reach [email] or [email]"),
        ("call +49 30 23125 123 or (202) 555-0143", "call [phone] or [phone]"),
        ("+44 (0)20 7946 0123 today", "[phone] today"),
        ("0049 30 23125123", "[phone]"),
        ("(646 253 0143 x203), tel:+1-201-555-0123", "([phone]), tel:[phone]"),
        (
            "our toll-free number 1800-226-226 (any line) or 1800-2-700-700",
            "our toll-free number [phone] (any line) or [phone]",
        ),
        ("Phone: 555-1234, Handy: 0151 23456789", "Phone: [phone], Handy: [phone]"),
        ("card 4111 1111 1111 1111, 5555-5555-5555-4444.", "card [card], [card]."),
        ('{"pan": "378282246310005"} or 3056 930902 5904', '{"pan": "[card]"} or [card]'),
        ("DE89 3704 0044 0532 0130 00 PLEASE", "[iban] PLEASE"),
        ("GB82WEST12345698765432", "[iban]"),
        ("at 93.184.216.34, 203.0.113.7/32 and 2001:db8:1::2", "at [ip], [ip]/32 and [ip]"),
        ("the server 8.8.4.4 and http://93.184.216.34:8080/x", "the server [ip] and http://[ip]:8080/x"),
        ("https://anna:geheim1@example.org/x", "https://[secret]@example.org/x"),
    ],
)
def test_found(text, expected):
    assert masked(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("AKIAIOSFODNN7EXAMPLE password: hunter22x", "[secret] password: [secret]"),
        (f"ghp_{R[:36]}, AIza{R[:35]} and sk_live_{R[:24]}", "[secret], [secret] and [secret]"),
        (
            f"vendors we never heard of: qzt_{R[:32]} and VNDR-{X[:40]}",
            "vendors we never heard of: [secret] and [secret]",
        ),
        (f'{{"access_token": "{R}", "expires_in": 3600}}', '{"access_token": "[secret]", "expires_in": 3600}'),
        (f"DD_API_KEY={X[:32]} agent run", "DD_API_KEY=[secret] agent run"),
        (f"Authorization: Bearer {R[:40]}", "Authorization: Bearer [secret]"),
        (f"https://hooks.slack.com/services/T{R[:10]}/B{R[:10]}/{R[:24]}", "[secret]"),
        (
            f"https://discord.com/api/webhooks/{'1234567890' * 2}/{R}{R[:6]}",
            "https://discord.com/api/webhooks/[secret]",
        ),
        (f"https://api.telegram.org/bot1234567890:AA{R[:33]}/send", "https://api.telegram.org/bot[secret]/send"),
        (
            "mysql://shop:k9!Qmm_2@db/x; Password=Sonne_77$a;Encrypt=True",
            "mysql://[secret]@db/x; Password=[secret];Encrypt=True",
        ),
        ("<property name='db.password'>Sonne_77$a</property>", "<property name='db.password'>[secret]</property>"),
        ("mein Passwort lautet Hund77!katze, danke", "mein Passwort lautet [secret], danke"),
        (block("OPENSSH PRIVATE KEY"), "[secret]"),
        (f"the key:\n{block('PGP PRIVATE KEY BLOCK')}\nrotate it", "the key:\n[secret]\nrotate it"),
        (f'{{"private_key": "{json.dumps(block("PRIVATE KEY"))[1:-1]}"}}', '{"private_key": "[secret]"}'),
    ],
)
def test_secrets_are_found(text, expected):
    assert masked(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "on 2024-05-12 at 10:30:15, 1914-1918, (1809-1865) and (1642-1726/1727)",
        "serial 340-2231-99, order 20240512-0001",
        "1,250.00 EUR, 10 000 samples, 12 345 678 units, 4-20 mA",
        "(95% CI 0.89-8.44; p = 0.0034), AUC 0.967/0.947/0.925, 9.3% (94/1010), [0.84(0.61-1.83) MAS]",
        "doi:10.1016/0304-3975(95)00123-9, doi:10.1002/j.2050-0416.1953.tb02723.x, ISSN 0716-9760",
        "arcsin(0.9235687435) is 67.4, p <.00916088558733, 44860 - 44860, (161.86 / 74.99)",
        "(5.949595, 310.9044), \\text{14285714.286}",
        "mobile networks at 800 900 1800 MHz reach 12000-15000 people, cellphones at 800–2600 MHz",
        "Boston, MA 02110-1301, given by 03.05.16.0001.01, (1) 234 567 890 items",
        "card 4111 1111 1111 1112",  # fails Luhn
        "Determine 2342929363894133 / 5 through long division",  # a sum that passes Luhn
        "dial *#06# to see the IMEI, for example 357692401588846",
        "DE88 3704 0044 0532 0130 00",  # fails the IBAN checksum
    ],
)
def test_numbers_that_lead_to_nobody_stay(text):
    assert masked(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "firmware 2.4.1.0 and version 110.0.0.1, Chrome/114.0.118.198",
        "EC 3.1.1.11 and 4.5.2.1 Postoperative pain",
        "127.0.0.1, 0.0.0.0, ::1, 255.255.255.0, 255.255.255.255, 224.0.0.251 and 203.0.113.0/24",
        "your router is 192.168.1.1 or 10.0.0.138",  # so is everybody's
        "s[::-1], boxes[:, 1::2], x[::100], std::vector, dead::beef, c10::Scalar",
        "MAC 00:1A:2B:3C:4D:5E, ratio 3:4",
        "look at example.org, 0x1F E41 R14 RS-485",
        "git@github.com:a/b.git, ssh root@server.example.com, root@web01:~#, ssh://git@host.example.org/x",
        "react@18.2.0, @babel/core@7.23.0, icon@2x.png, getty@tty1.service, actions/checkout@v4",
        '@app.route("/login") and X.T@X, a@b.dot(c)',
    ],
)
def test_addresses_of_nobody_stay(text):
    assert masked(text) == text


@pytest.mark.parametrize(
    "text",
    [
        f"commit {X[:40]}, sha256:{X}, sha512-{R}, ETag {X[:32]}, https://example.org/a/id-{R}",
        "request 3f2b9c1e-77aa-4c0d-9e1f-0b5a6c7d8e9f, nginx-7fb96c846b-x2x9z, ipython-input-4-bdd569af197b",
        "Kimi_K25CausalLMOutputWithPast(NemotronH_Omni_Reasoning_V3ImageProcessorKwargs)",
        "api_key: YOUR_API_KEY, export TOKEN=${API_KEY}, OPENAI_API_KEY=sk-xxxxxxxxxxxxxxxx",
        'password = getpass.getpass("Password: "), key = os.environ["SERVICE_KEY_2024"], password = ********',
        "String password = scanner.nextLine(); token = tokenizer.encode(text2)[0]",
        'password: must have 8 characters; the password is case-sensitive; {"max_tokens": 4096}',
        "设置强密码：为您的所有账户设置强密码，并定期更换2次",
        "a file begins with -----BEGIN RSA PRIVATE KEY----- and ends likewise",
        block("CERTIFICATE"),
        f'cache_key = "{X[:32]}" and public key {X[:48]}',
    ],
)
def test_names_hashes_and_placeholders_are_no_secrets(text):
    assert masked(text) == text


@pytest.mark.parametrize(
    "repeated", ["a1", "1 ", "a@", "@b.b", "key=", "sk-", "://a:", " at b dot ", "a_", "(1", "1::"]
)
def test_long_texts_take_no_longer_than_their_length(repeated):
    """Ten times the text takes about ten times the work: no pattern goes back over what it has read."""
    # A quadratic one takes a hundred times as long. The shortest of some attempts counts: a busy machine is no fault.
    assert min(_spent(repeated, 1_000_000) for _ in range(2)) < 40 * min(_spent(repeated, 100_000) for _ in range(3))


def _spent(repeated: str, length: int) -> float:
    text, start = repeated * (length // len(repeated)), time.process_time()
    privacy.scan(text, KINDS, REGIONS)
    return time.process_time() - start


def test_kinds_and_allowed_texts_are_respected():
    text = "write to help@norvane.example.com or anna@example.com"
    assert masked(text, allow=("norvane.example.com",)) == "write to help@norvane.example.com or [email]"
    assert masked(text, kinds=("phone",)) == text


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.sampled_from(["a@example.com", "+49 30 23125 123", "4111111111111111", "203.0.113.4", " ", "x", "[", "5"])
    ).map("".join)
)
def test_masking_is_idempotent(text):
    once, kinds = privacy.redact(text, KINDS, REGIONS)
    assert privacy.redact(once, KINDS, REGIONS) == (once, [])
    assert once.count("[email]") == kinds.count("email")


def test_places_do_not_overlap_and_are_in_order():
    found = privacy.scan("x@example.com 203.0.113.9 4111111111111111", KINDS)
    assert [place.kind for place in found] == ["email", "ip", "card"]
    assert all(a.end <= b.start for a, b in pairwise(found))


def test_actions_by_kind():
    assert privacy.actions(["ip", "email"], "mask", {"ip": "report"}) == {"ip": "report", "email": "mask"}


def judged_with(meta, **data):
    """A row with these columns beside question and answer, as the checks leave it, and the reason why it goes."""
    recipe = DataRecipe.model_validate({"path": "none", "language": None, **data})
    checker = Checker(recipe, Habits(), lambda texts: np.ones(len(texts), dtype=int), Overhead(5, 0))
    (found,) = checker.judged([Entry(made.row("r", "How heavy is it?", "340 g", **meta))])
    return found.entry.row.meta, found.entry.pii, found.reason


def test_personal_data_in_columns_that_play_no_part_is_masked():
    mail, phone = "anna@example.com", "+49 30 23125 123"
    meta = {"note": f"from {mail}", "tags": ["new", {"by": phone}], "votes": 7, "none": None, "sort": "  <b>as it is "}
    kept = {"note": "from [email]", "tags": ["new", {"by": "[phone]"}]}
    assert judged_with(meta) == (meta | kept, ["email", "phone"], "")
    assert judged_with({"note": "as it came"}) == ({"note": "as it came"}, [], "")
    assert judged_with(meta, pii={"kinds": ["phone"]})[0] == meta | {"tags": kept["tags"]}
    assert judged_with(meta, pii={"allow": ["example.com"]})[0]["note"] == meta["note"]


def test_columns_that_play_a_part_stay_as_they_are():
    """They are keys: masked, all rows of one customer would be in one group, slice or fact."""
    mail = "anna@example.com"
    parts = {part: part for part in ("slice", "subject", "fact", "documents", "created")}
    meta = dict.fromkeys([*parts, "customer", "kind"], mail)
    data = {"columns": parts, "split": {"group_by": ["customer"], "stratify_by": "kind"}}
    assert judged_with(meta | {"note": mail}, **data)[0] == meta | {"note": "[email]"}


def test_actions_count_for_columns_too():
    meta = {"note": "from anna@example.com"}
    assert judged_with(meta, pii={"action": "report"}) == (meta, ["email"], "")
    masked, _, reason = judged_with(meta, pii={"actions": {"email": "drop"}})
    assert reason == "pii_email" and masked == {"note": "from [email]"}, "a rejected row is written down, too"
