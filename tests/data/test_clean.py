"""Mending, the recognition of code and markup, and the language of a text."""

import ast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftlib.data import boilerplate, clean, language, markup
from ftlib.data.boilerplate import Phrases

PIECES = [
    "<p>", "</p>", "<br/>", "&amp;", "&lt;", "b&gt;", "&nbsp;", "Ã¤", "â€œ", "Â°C", "\u200b", "\r\n", "\t", "x < 5",
    "<b", ">", "text ", "  ", "\n    ", "`<b>`", "```\n",
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "mended", "changes"),
    [
        ("GerÃ¤t bei 30 Â°C", "Gerät bei 30 °C", ("encoding",)),
        ("<p>One<br/>two</p><ul><li>three</li></ul>", "One\ntwo\nthree", ("html", "whitespace")),
        ("It&#39;s &quot;on&quot;", 'It\'s "on"', ("html",)),
        ("Ask &amp;lt;b&amp;gt;twice&amp;lt;/b&amp;gt;.", "Ask twice.", ("html",)),
        ("One verse<br>\nand two\n\nThe third", "One verse\nand two\n\nThe third", ("html",)),
        ("a \u200b b\xa0\xa0c\r\n\r\n\r\n\r\nd", "a b c\n\nd", ("whitespace",)),
        ("<script>alert(1)</script>340 g", "340 g", ("html",)),
    ],
)
def test_repair_mends_and_names_what_it_did(text, mended, changes):
    assert clean.repair(text) == (mended, changes)


@pytest.mark.parametrize(
    "text",
    [
        "x < 5, <serial number> and y > 3",
        "AT&T; R&D",
        "List<String> names = new ArrayList<>();",
        "for row in rows:\n    if row:\n        print(row)  # all of them\n\n\ndone()",
        "|  a |  b |\n|----|----|\n|  1 |  2 |",
        "  /\\_/\\\n ( o.o )\n  > ^ <",
        "The sea\n    is wide,\n  the sea\n    is deep.",
        'return "<b>" + name + "</b>";',
        "<dependency>\n  <title>a</title>\n</dependency>",
        "Write `<br>` for a break.",
        "```html\n<p>Hello</p>\n```",
        "├── src\n│   └── main.py",
        "\N{MAN}\u200d\N{WOMAN}\u200d\N{GIRL} and می\u200cخواهم",
    ],
)
def test_code_markup_and_layout_stay_as_they_are(text):
    assert clean.repair(text) == (text, ())


@pytest.mark.parametrize(
    "code",
    [
        "def double(x):\n    return 2 * x\n",
        "class Dog:\n\tdef bark(self):\n\t\treturn '<b>woof  woof</b>'",
        "data = {\n    'a':  1,\n    'bb': 2,\n}\n",
        "import re\n\n\nprint(re.sub('&amp;', '&', text))",
    ],
)
def test_python_parses_to_the_same_after_mending(code):
    assert ast.dump(ast.parse(clean.repair(code).text)) == ast.dump(ast.parse(code))


@pytest.mark.parametrize("text", ["<p></p>", "<br>", "<img src='a.png'>", "&nbsp;"])
def test_mending_html_leaves_no_text_empty(text):
    assert clean.strip_html(text).strip()


@pytest.mark.parametrize(
    "asked",
    [
        "How do I make text bold in HTML?",
        "Which tag starts a list?",
        "HTML的最基本元素是什么？",
        "Convert the XML below",
        "What is <em> for?",
    ],
)
def test_a_question_about_markup_says_so(asked):
    assert markup.is_about_markup([asked])
    assert clean.repair("<ul><li>a</li></ul>", markup_is_subject=True).changes == ()


@pytest.mark.parametrize(
    "asked", ['<div class="message">How heavy is it?</div>', "How do I pay my bill?", "Is it <b>new?"]
)
def test_tags_round_a_question_do_not(asked):
    assert not markup.is_about_markup([asked])


@pytest.mark.parametrize(
    ("broken", "whole"),
    [
        ("cafÃ©", "café"),
        ("G├Âteborg", "Göteborg"),
        ("Andr├⌐", "André"),
        ("РњРѕСЃРєРІР°", "Москва"),
        ("Äîãîâîð", "Договор"),
        ("SeÒor", "Señor"),
        ("Stra§enbahn", "Straßenbahn"),
        ("F\ufffdhrung", "Führung"),
        ("пїЅ", "пїЅ"),  # nothing is left to mend
    ],
)
def test_text_read_in_another_encoding(broken, whole):
    assert clean.mend_encoding(broken) == whole


@pytest.mark.parametrize(
    "text",
    [
        "naïve café, “quoted”, 20 °C", "NÃO, AMANHÃ, IRMÃ", "cà phê sữa đá", "“together/apart”, “salt”",
        "Ангстрем и §5", "“DÂMBOVIȚA”", "输出：住址：纽约，每支1美元，为什么AI系统独立运行可能会很危险？",
        "Þórður, Łódź, İstanbul", "ÀÉÎÕ",
    ],
)  # fmt: skip
def test_correct_text_of_any_language_stays(text):
    assert clean.mend_encoding(text) == text


def test_only_the_steps_that_are_asked_for_are_taken():
    assert clean.repair("<b>cafÃ©</b>  x", ["html"]) == ("cafÃ©  x", ("html",))


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=60), st.lists(st.sampled_from(PIECES), max_size=12).map("".join)))
def test_repair_is_idempotent(text):
    once = clean.repair(text).text
    assert clean.repair(once) == (once, ())


@pytest.mark.parametrize(
    "text",
    [
        "SELECT name FROM customers",
        "if (a < b && b > 0) { x <<= 1; }",
        "x = 5\ny = x + 1",
        "Here you go:\n\n```\nprint(1)\n```",
        "#include <stdio.h>",
    ],
)
def test_code(text):
    assert markup.is_code(text)


@pytest.mark.parametrize(
    "text", ["Drifting gently;\nleaves fall.", "Call us << Back to the list", "It weighs 1.9 (kg)."]
)
def test_prose_is_no_code(text):
    assert not markup.is_code(text)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.sampled_from(["Hello team, ", "340 g. ", "Best regards,\nAnna", "\n\n", "Thanks!", "We care. "])).map(
        "".join
    )
)
def test_stripping_boilerplate_is_idempotent_and_leaves_something(text):
    phrases = Phrases(frozenset(), frozenset({"we care"}))
    once = boilerplate.strip(text, phrases)
    assert boilerplate.strip(once, phrases) == once
    assert bool(once) or not any(char.isalnum() for char in text)


def test_boilerplate_is_learned_from_different_answers_and_content_is_not():
    answers = [f"{n} g.\n\nWe wish you a happy day." for n in range(30)] + ["Open the cover."] * 30
    answers += [f"Take {n}. Open the cover." for n in range(30)]
    answers += [f"It has {n} ports. They speak Modbus." for n in range(30)]  # a rare word is content
    answers += ["It weighs 5 kg. The lid is red."] * 180  # one fact in many wordings
    found = boilerplate.learn_phrases(answers, len(answers))
    phrases = boilerplate.without_content(found, language.usual_words("en"))
    assert phrases == (frozenset(), {"we wish you a happy day"})
    assert boilerplate.strip("5 g.\n\nWe wish you a happy day.", phrases) == "5 g."
    assert boilerplate.strip("Take 5. Open the cover.", phrases) == "Take 5. Open the cover."


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("Hi team, how heavy is it?", "how heavy is it?"),
        ("Good morning, Name the last step.", "Name the last step."),
        ("340 g\n\nKind regards,\nAnna", "340 g"),
        ("Hello!", "Hello!"),
        ("Thanks for what?", "Thanks for what?"),
    ],
)
def test_greetings_and_closings(text, rest):
    assert boilerplate.strip(text, Phrases(frozenset(), frozenset())) == rest


@pytest.mark.parametrize(
    ("answer", "asked", "nothing"),
    [
        ("Thank you for contacting us. We will get back to you soon.", "", True),
        ("340 g", "", False),
        ("I don't have that information.", "", False),
        ("Please contact our Customer Care Center and update the number.", "", False),
        ("Your request will be processed within 3 working days.", "", False),
        ("In patients with ischemia, physicians respond.", "", False),
        ("We apologize for any inconvenience.", "Rewrite the sentence in a better tone.", False),
    ],
)
def test_answers_that_say_nothing(answer, asked, nothing):
    assert boilerplate.says_nothing(answer, asked) == nothing


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("Wie schwer ist der Heron 20 und was kostet er?", "de"),
        ("¿Cuánto pesa el Heron 20 con la batería?", "es"),
        ("Der Sensor The North Face ist neu und kostet viel mehr als früher.", "de"),
        ("Sure, here is the answer. 光合作用是植物利用阳光把二氧化碳和水变成糖和氧气的过程。", "zh"),
        ("Почему листья осенью становятся жёлтыми?", "ru"),
        ("How heavy is the Heron 20? 340 g", ""),
        ("Grüße aus Köln! What is the weight of the Heron 20?", ""),
        ("340 g", ""),
        ("Thomas Müller, Philipp Lahm, Bastian Schweinsteiger, Jérôme Boateng", ""),
        ("Quercus robur, Quercus petraea, Quercus pubescens", ""),
        ("def bubble(list): \n    for i in range(len(list)-1): \n        list[i], list[j] = list[j], list[i]", ""),
        ('He wrote "Gallia est omnis divisa in partes tres" at the start.', ""),
    ],
)
def test_languages(text, spoken):
    assert language.detector("en")(text) == spoken


def test_the_wanted_language_may_be_any():
    assert language.detector("de")("How heavy is the Heron 20 when it is full?") == "en"
    with pytest.raises(ValueError):
        language.detector("xx")


@pytest.mark.parametrize(
    "asked", ["Translate it into German.", "What is the French title?", "翻译这句话", 'Say "gern geschehen"']
)
def test_an_answer_may_be_meant_to_be_in_another_language(asked):
    assert language.may_be_foreign(asked, "Gern geschehen, sagt man: gern geschehen.")
    assert not language.may_be_foreign("How do I pay?", "Gern geschehen.")


def test_the_language_of_most_texts():
    german, english = "Der Schlüssel liegt unter der Matte vor der Tür.", "The key is under the mat at the front door."
    assert language.most_common([german] * 3 + [english]) == "de"
    assert language.most_common(["340 g", "", "R14"]) is None
