"""Near-duplicates, their clusters, and contradictions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftlib.data import candidates, duplicates, similar
from ftlib.data.contradictions import contradicting
from ftlib.data.vocabulary import Lexicon
from ftlib.errors import UserError
from ftlib.recipe import DataRecipe
from tests.data import made

SIMILARITY = 0.7
ENGLISH = Lexicon("en")


def same(a, b, lexicon=ENGLISH, similarity=SIMILARITY):
    """Either way round, which must be one answer."""
    found = {similar.same(*pair, similarity, lexicon) for pair in ((a, b), (b, a))}
    assert len(found) == 1
    return found.pop()


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("How heavy is the Heron 20?", "how heavy is the  Heron 20 ??"),
        ("How heavy is the Heron 20?", "HOW HEAVY IS THE HERON 20?"),
        ("How heavy is the Heron 20?", "How haevy is the Heron 20?"),
        ("How heavy is the Heron 20?", "How heavvy is the the Heron 20, please?"),
        ("What is the Iron 75 built from?", "What is the Iron 75 biult from?"),
        ("What is the weight of it?", "What is teh weight of it?"),
        ("What's the price? I don't know it.", "What is the price? I do not know it."),
        ("How do I set up the router?", "How do I setup the router"),
        ("Hi team, a quick question: where is the fuse? Thanks a lot!", "Where is the fuse?"),
        ("What colour is the centre lamp?", "What color is the center lamp?"),
        ("In winter, when does the library open?", "When does the library open in winter?"),
        ("The billing address of my order, how can I change it?", "How can I change the billing address of my order?"),
        ("I have an error, what now?", "I haev an error, what now?"),
        ("Do cats and dogs sleep at night?", "Do dogs and cats sleep at night?"),
    ],
)
def test_same_but_for_slips_and_order(a, b):
    assert same(a, b)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("How heavy is the Heron 20?", "How heavy is the Heron 30?"),
        ("How heavy is the Heron 20?", "How heavy is the Merlin 20?"),
        ("What does the Marlin cost today?", "What does the Merlin cost today?"),
        ("What does error E41 mean?", "What does error E42 mean?"),
        ("What is the first step to mount it?", "What is the third step to mount it?"),
        ("Is it rated for -20 degrees?", "Is it rated for 20 degrees?"),
        ("Is the Heron 20 heavier than the Tarn 15?", "Is the Tarn 15 heavier than the Heron 20?"),
        ("Can I open the lid?", "Can I not open the lid?"),
        ("What is the weight of the ladder?", "What is the height of the ladder?"),
        ("How do I clean the print queue panel?", "How do I clear the print queue panel?"),
        ("Where can I buy a new cable?", "Where can I buy a new table?"),
        ("How do I import contacts?", "How do I export contacts?"),
        ("What does the left lamp show?", "What does the right lamp show?"),
        ("How long is the flight from Oslo to Rome?", "How long is the flight from Rome to Oslo?"),
        ("Why do dogs chase cats around the yard?", "Why do cats chase dogs around the yard?"),
        ("What is the united front?", "What is the untied front?"),
        ("What is C++ used for today?", "What is C# used for today?"),
        ("What is 5 + 3 in all?", "What is 5 - 3 in all?"),
        ("Does it cost $5 in the shop?", "Does it cost €5 in the shop?"),
        ("Is it safe not to wait for it?", "Is it not safe to wait for it?"),
        ("Which food has vitamin A?", "Which food has a vitamin?"),
        ("你好吗朋友你好吗朋友", "你好吗朋发你好吗朋友"),
        ("", "a"),
    ],
)
def test_different_although_alike(a, b):
    assert not same(a, b)


def test_one_word_of_a_long_text_makes_another_question():
    text = " ".join(["please explain to me in detail how the pump of the old garden works when it rains"] * 4)
    assert same(text, text.replace("garden", "gardne", 1))
    assert not same(text, text.replace("garden", "kitchen", 1))


def test_of_two_words_one_is_a_slip_only_if_it_is_no_word():
    """Finding: any word of over three letters could differ by one letter, 60 rows about heights were lost."""
    known = [(a, b) for a, b in (("weight", "wieght"), ("weight", "height")) if ENGLISH.known(a) != ENGLISH.known(b)]
    assert known == []  # "wieght" is written so often that wordfreq has it
    assert ENGLISH.known("warranty") and not ENGLISH.known("waranty")
    assert same("How long is the warranty?", "How long is the waranty?")


def test_where_wordfreq_lacks_the_language_the_data_says_what_is_a_word():
    learned = Lexicon("eu")
    for text in ("zenbat da prezioa gaur", "zenbat da prezioa bihar", "zenbat da preziao gaur"):
        learned.learn(set(similar.words(text)))
    assert same("zenbat da prezioa gaur", "zenbat da preziao gaur", learned)
    learned.learn(["preziao"])
    assert not same("zenbat da prezioa gaur", "zenbat da preziao gaur", learned)
    assert not Lexicon("eu").known("prezioa")


def test_at_similarity_one_only_case_punctuation_and_space_differ():
    assert same("How heavy is it?", "how  heavy is it", similarity=1.0)
    assert not same("How heavy is it?", "How haevy is it?", similarity=1.0)
    assert not same("In winter, when does it open?", "When does it open in winter?", similarity=1.0)
    sketches = candidates.sketch([row(1, "a?", "b")], 1, 1.0, ENGLISH)
    assert len(sketches.minhash) == 0 and len(sketches.asked) == 1


def test_unlisted_languages_need_no_lists():
    nothing = Lexicon(None)
    assert same("Wo ist es?", "wo ist es", nothing) and not same("Wo ist es?", "Wo ist das?", nothing)
    assert same("Hallo, wie teuer ist die Pumpe?", "Wie teuer ist Pumpe?", Lexicon("de"))


@pytest.mark.parametrize(
    ("a", "b", "slip"),
    [
        ("weigh", "wiegh", True),
        ("cost", "costs", True),
        ("cost", "cosst", True),
        ("cost", "most", True),
        ("cost", "cost", False),
        ("price", "weight", False),
        ("abcd", "badc", False),
    ],
)
def test_is_slip_is_damerau_levenshtein_one(a, b, slip):
    assert similar.is_slip(a, b) is slip


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=40))
def test_normalize_is_idempotent_and_ignores_case_and_space(text):
    once = similar.normal_form(text)
    assert similar.normal_form(once) == once
    assert similar.normal_form(f"  {text}\n") == once


def test_estimated_similarity_is_near_the_exact_one():
    texts = [f"How heavy is the instrument number {n} in the long list?" for n in range(40)]
    sketches = candidates.signatures(texts, len(texts), ENGLISH)
    errors = [
        np.mean(sketches[i] == sketches[j]) - similar.jaccard(texts[i], texts[j], ENGLISH)
        for i in range(40)
        for j in range(i)
    ]
    # 64 permutations: standard error sqrt(s (1 - s) / 64) <= 0.0625 a pair
    assert abs(np.mean(errors)) < 0.03 and np.std(errors) < 0.08


def test_bands_find_similar_pairs_and_candidates_are_distinct():
    rng = np.random.default_rng(0)
    base = rng.integers(0, 2**32, size=(200, candidates.PERMUTATIONS), dtype=np.uint32)
    twin = base.copy()
    changed = rng.random(base.shape) > 0.8  # 80 % of the signature stays
    twin[changed] = rng.integers(0, 2**32, size=changed.sum(), dtype=np.uint32)
    both = np.concatenate([base, twin])
    codes = np.zeros(400, dtype=np.uint64)

    def found(**options):
        blocks = candidates.pairs(both, codes, 0.8, **options)
        return [pair for i, j in blocks for pair in zip(i.tolist(), j.tolist(), strict=True)]

    assert {(n, n + 200) for n in range(200)} <= set(found())
    across = found(first=200)
    assert len(across) == len(set(across)) and all(a < 200 <= b for a, b in across)
    codes[200:] = 1
    assert found(first=200) == []


def test_crowded_buckets_stay_linear():
    same = np.zeros((5000, candidates.PERMUTATIONS), dtype=np.uint32)
    pairs = sum(len(i) for i, _ in candidates.pairs(same, np.zeros(5000, dtype=np.uint64), 0.9))
    assert pairs <= 5000 * 20


def row(number, question, answer, day="2024-01-01", context="", history=()):
    return made.row(f"r{number}", question, answer, context, history, day=day)


ALL = ("exact_duplicate", "near_duplicate", "contradiction")


def resolve(rows, tmp_path, answer="reject", **data):
    table = made.table(rows, tmp_path)
    options = {"columns": {"created": "day"}, "contradictions": "newest", "checks": dict.fromkeys(ALL, answer), **data}
    recipe = DataRecipe(path="x", **options)
    sketches = candidates.sketch_table(table, recipe.near_duplicate_similarity, ENGLISH)
    found = duplicates.resolve(table, sketches, recipe, ENGLISH)
    rejected, flagged = duplicates.decide(found, recipe.checks)
    ids = [r.id for r in rows]
    gone = {ids[n]: (reason, ids[instead] if instead >= 0 else None) for n, (reason, instead) in rejected.items()}
    return gone, {ids[n]: {check: ids[other] for check, other in what} for n, what in flagged.items()}, found


ROWS = [
    row(1, "How heavy is the Heron 20?", "340 g", "2024-01-01"),
    row(2, "HOW HEAVY IS THE HERON 20", "340 g", "2024-02-01"),
    row(3, "How haevy is the Heron 20?", "340 g", "2024-03-01"),
    row(4, "How heavy is the Heron 30?", "340 g", "2024-03-01"),
    row(5, "What does the Heron 20 cost?", "90 euros", "2024-01-01"),
    row(6, "What does the Heron 20 cost?", "80 euros", "2023-01-01"),
    row(7, "What does the Heron 20 cost?", "80 euros", "2023-06-01"),
]


def test_oldest_copy_stays_and_newest_answer_wins(tmp_path):
    rejected, flagged, found = resolve(ROWS, tmp_path)
    assert rejected == {
        "r2": ("exact_duplicate", "r1"),
        "r3": ("near_duplicate", "r1"),
        "r6": ("contradiction", "r5"),
        "r7": ("contradiction", "r5"),
    }
    assert len(found.clusters) == 2 and len(found.contradictions) == 1 and not flagged


def test_by_default_rows_stay_and_are_flagged_with_the_other_row(tmp_path):
    rejected, flagged, _ = resolve(ROWS, tmp_path, checks={}, contradictions="majority")
    assert not rejected
    assert flagged == {
        "r2": {"exact_duplicate": "r1"},
        "r3": {"near_duplicate": "r1"},
        "r5": {"contradiction": "r6"},
        "r6": {"contradiction": "r5"},
        "r7": {"contradiction": "r5", "exact_duplicate": "r6"},
    }


@pytest.mark.parametrize("check", ALL)
def test_a_check_that_is_off_finds_nothing(tmp_path, check):
    kept = [name for name in ALL if name != check]
    _, flagged, _ = resolve(ROWS, tmp_path, checks={check: "off"}, contradictions="majority")
    assert {name for found in flagged.values() for name in found} == set(kept)


def test_no_pairs_are_looked_for_where_nothing_near_is(tmp_path, monkeypatch):
    monkeypatch.setattr(duplicates, "pairs", None)
    monkeypatch.setattr(duplicates, "by_answer", None)
    assert resolve(ROWS, tmp_path, "off", near_duplicate_similarity=1)[:2] == ({}, {})


@pytest.mark.parametrize(
    ("policy", "gone"), [("majority", {"r5", "r7"}), ("drop", {"r5", "r6", "r7"}), ("newest", {"r6", "r7"})]
)
def test_policies_for_contradictions(tmp_path, policy, gone):
    assert set(resolve(ROWS[4:], tmp_path, contradictions=policy)[0]) == gone


def test_the_newest_of_several_answers_wants_dates():
    checks = {"contradiction": "reject"}
    with pytest.raises(UserError, match=r"data\.columns\.created"):
        duplicates.require_dates(DataRecipe(path="x", checks=checks, contradictions="newest"))
    duplicates.require_dates(DataRecipe(path="x", contradictions="newest"))
    duplicates.require_dates(DataRecipe(path="x", checks=checks, contradictions="majority"))
    duplicates.require_dates(DataRecipe(path="x", checks=checks, contradictions="newest", columns={"created": "day"}))


@pytest.mark.parametrize(
    ("question", "one", "other"),
    [
        ("How long is the warranty?", "It is 24 months.", "It is 6 months."),
        ("In which year was the bridge built?", "In 1911.", "It was built in 1934."),
        ("May I take photos?", "Yes, at any time.", "No, that is forbidden."),
        ("Who is in charge of the night shift?", "Mr Halvorsen is.", "Ms Adeyemi is."),
        (
            "Is it waterproof?",
            "The lamp is waterproof down to a depth of ten metres.",
            "The lamp is not waterproof down to a depth of ten metres.",
        ),
        ("What is the deadline?", "31 May.", "The deadline is 15 July."),
        ("which port does it listen on", "5093", "It listens on port 8224."),
    ],
)
def test_answers_that_can_not_both_be_right(question, one, other):
    assert contradicting(question, [one, other], ENGLISH) == [(0, 1)]


@pytest.mark.parametrize(
    ("question", "one", "other"),
    [
        ("What is the capital of Norway?", "Oslo.", "The capital of Norway is Oslo."),
        ("How many days has a leap year?", "366", "A leap year has 366 days, one more than usual."),
        ("Is it free for children?", "Yes.", "Yes, children under 12 do not pay."),
        ("How much is half a dozen?", "6", "Six."),
        ("When does water boil?", "At 100 °C.", "At 212 degrees Fahrenheit."),
        ("What is the boiling point?", "It is 78.37 degrees.", "It is 78 degrees."),
        ("How long is it covered?", "24 months.", "2 years."),
        ("How do I greet a customer?", "Say hello and smile.", "Shake hands."),
        ("Name a city in Spain.", "Seville", "Bilbao"),
        ("Generate a random number between 1 and 10.", "7", "3"),
        (
            "What should I do when I feel sad?",
            "Talking to somebody you trust often helps, and so does sport in the sun.",
            "I would first ask what happened before it began, since grief needs its own time and no advice at all.",
        ),
        (
            "Where is our office?",
            "It is in the Town Centre, near the station.",
            "It is in the Town Center, near the station.",
        ),
    ],
)
def test_a_rewording_a_longer_answer_and_a_second_opinion_are_none(question, one, other):
    """Finding: 793 of 2,129 rows of second opinions and 449 of 1,000 conversations were listed."""
    assert contradicting(question, [one, other], ENGLISH) == []


def test_a_question_with_many_answers_has_no_right_one():
    assert contradicting("Which fruit is red?", ["Cherry", "Apple"], ENGLISH) == [(0, 1)]
    assert (
        contradicting("Which fruit is red?", ["Cherry", "Apple", "Plum", "Berry", "Currant", "Grape", "Fig"], ENGLISH)
        == []
    )


def test_sixty_weights_beside_sixty_heights_all_stay(tmp_path):
    rows = [
        row(f"{kind}{n}", f"What is the {kind} of the ladder {n}?", f"{n} {unit}")
        for n in range(60)
        for kind, unit in (("weight", "kg"), ("height", "cm"))
    ]
    assert resolve(rows, tmp_path)[0] == {}


def test_rows_that_ask_the_same_have_one_key_whatever_their_order(tmp_path):
    _, _, found = resolve(ROWS, tmp_path, checks={})
    _, _, other = resolve(ROWS[::-1], tmp_path, checks={})
    assert found.asking.tolist() == other.asking[::-1].tolist()
    assert len(set(found.asking[:3].tolist())) == 1 and len(set(found.asking.tolist())) == 3


@settings(max_examples=15, deadline=None)
@given(order=st.permutations(range(len(ROWS))))
def test_what_stays_does_not_depend_on_the_order(order, tmp_path_factory):
    rejected, *_ = resolve([ROWS[n] for n in order], tmp_path_factory.mktemp("order"))
    assert set(rejected) == {"r2", "r3", "r6", "r7"}


def test_the_same_question_about_two_contexts_is_no_duplicate(tmp_path):
    rows = [row(n, "When was it built?", "1900", context=context) for n, context in enumerate(("A mill.", "A bridge."))]
    assert resolve(rows, tmp_path)[0] == {}


def test_joined_rows_are_components():
    labels = candidates.components(6, np.array([4, 2]), np.array([2, 5]))
    assert [group.tolist() for group in candidates.members(labels)] == [[2, 4, 5]]
    assert candidates.members(candidates.components(3, np.array([], dtype=int), np.array([], dtype=int))) == []


def test_sixty_follow_ups_of_sixty_conversations_all_stay(tmp_path):
    """Finding 1: 60 chats with "And what does it cost?" lost 59 follow-ups."""
    rows = [
        row(
            n,
            "And what does it cost?",
            f"{n} euros",
            history=[("user", f"The model {n}?"), ("assistant", "We have it.")],
        )
        for n in range(60)
    ]
    assert resolve(rows, tmp_path)[0] == {}
    rejected, *_ = resolve(
        [*rows, row(60, "And what does it cost", "7 euros", "2025-01-01", history=rows[7].history)], tmp_path
    )
    assert rejected == {"r60": ("exact_duplicate", "r7")}


def test_another_system_message_is_another_question(tmp_path):
    rows = [
        row(n, "Who are you?", f"A {who}.", history=[("system", f"You are a {who}.")]) for n, who in enumerate("ab")
    ]
    assert resolve(rows, tmp_path)[0] == {}
