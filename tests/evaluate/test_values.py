"""Whether the right value is given: right and wrong answers in several languages, in literal cases."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftlib.evaluate.metrics import exact_match
from ftlib.evaluate.values import value_match

REFUSAL = "I don't have that information."
LONG = (
    "Switch the device off, open the cover, take out the filter, rinse it with cold water and let it dry in the shade."
)

RIGHT = [  # (reference, prediction, question)
    ("340 g", "340 g", ""),
    ("340 g", "It weighs 340 g.", ""),
    ("1.5 kg", "The lamp weighs 1500 g, without packaging.", ""),
    ("1500 g", "Das Gerät wiegt 1,5 Kilogramm.", ""),
    ("1.500 g", "Il pèse 1,5 kg.", ""),
    ("1,200 lamps", "There are 1200 lamps.", ""),
    ("12,50 EUR", "Es kostet 12,5 € im Monat.", ""),
    ("90 euros", "The certificate costs €90.", ""),
    ("90 euros", "Le certificat coûte 90 EUR.", ""),
    ("$1,299.00", "The price is 1299 dollars.", ""),
    ("2 percent", "It measures within 2 %.", ""),
    ("2 years", "The warranty is two years.", ""),
    ("2 years", "Es gilt eine Garantie von 24 Monaten.", ""),
    ("2 years", "La garantía es de dos años.", ""),
    ("24 months", "A 2-year warranty.", ""),
    ("36 hours", "It takes 1½ days.", ""),
    ("-5 °C", "Down to \u22125 °C.", ""),
    ("2 л", "Объём 2000 мл.", ""),
    ("340克", "重量是340克。", ""),
    ("every 30 minutes", "It reports every 30 min.", ""),
    ("12 V", "The Thistle 80 runs on 12 volts.", "Voltage of the Thistle 80?"),
    ("45", "The Hazel 30 has 45 seats.", "How many seats has the Hazel 30?"),
    ("2 years", "It is 2 years (24 months).", ""),
    ("31 May 2024", "It ended on 2024-05-31.", ""),
    ("2024-05-31", "It ended on May 31st, 2024.", ""),
    ("31.05.2024", "Elle s'arrête le 31 mai 2024.", ""),
    ("31 May 2024", "Am 31. Mai 2024.", ""),
    ("2024年5月31日", "截止日期是2024年5月31日。", ""),
    ("10:30", "We open at 10:30.", ""),
    ("2.1.3", "It shows version 2.1.3.", ""),
    ("R39", "The release number is R39.", ""),
    ("IP67", "It is IP67-rated, so rain is fine.", ""),
    ("Wi-Fi", "By WiFi.", ""),
    ("Profibus", "It is a Profibus-based device.", ""),
    ("RS-485", "It has an RS-485 port.", ""),
    ("steel", "It's made of steel.", ""),
    ("Stahl", "Das Gehäuse ist aus Stahl.", ""),
    ("acier", "Le boîtier est en acier.", ""),
    ("acero", "La carcasa es de acero.", ""),
    ("сталь", "Материал: СТАЛЬ.", ""),
    ("鋼", "材質は鋼です。", ""),
    ("Straße", "In der STRASSE.", ""),
    ("blue", "It is not red but blue.", ""),
    ("blue", "It is blue, not red.", ""),
    ("blue", "Er ist nicht rot, sondern blau. In English: blue.", ""),
    ("the export desk", "Only the export desk may do that.", ""),
    ("Anna Smith", "Please ask Anna Smith about this.", ""),
    ("U.S.", "It is made in the US.", ""),
    ("red, blue and green", "It comes in green, red and blue.", ""),
    ("rot, blau und grün", "Es gibt ihn in Grün, Rot und Blau.", ""),
    ("and", "It is and.", ""),
    ("yes", "Yes, it is waterproof.", ""),
    ("Yes", "Yeah, sure.", ""),
    ("no", "No, it does not.", ""),
    ("ja", "Ja, das geht.", ""),
    ("sí", "Sí, claro.", ""),
    ("Panther 75", "The Panther 75 costs more.", "Which costs more, the Panther 75 or the Tiger 25?"),
    ("red", "The lamp is red on the outside.", "Is the lamp red or dark blue on the outside?"),
    ("Denmark", "It is made in Denmark.", "Is it made in Denmark or in Poland?"),
    ("Bluetooth", "It reports by the Bluetooth protocol. " + "It goes on about radio and much else. " * 6, ""),
    ("the quality desk", "The team or office is the quality desk.", "Which team or office is it?"),
    ("red", "It is red.", "Is it red or blue?"),
    ("not needed", "Tools are not needed.", ""),
    ("no tool", "For this job, no tool is necessary.", ""),
    (LONG, LONG.replace("Switch the device off", "Turn it off").replace("take out", "remove"), ""),
]

WRONG = [
    ("340 g", "340 kg", ""),
    ("340 g", "It weighs 3400 g.", ""),
    ("340 g", "It weighs 340.", ""),
    ("1.5 kg", "It weighs 15 kg.", ""),
    ("1.5 kg", "15 kg", ""),
    ("1,200 g", "It weighs 1.2 g.", ""),
    ("340 g", "It weighs 340 g or 610 g.", ""),
    ("340 g", "The small one weighs 340 g, the large one 0.61 kg.", ""),
    ("340 g", "Between 300 g and 340 g.", ""),
    ("90 euros", "It costs 90 dollars.", ""),
    ("2 years", "Two months.", ""),
    ("2 years", "One year, 2 years, 3 years.", ""),
    ("up to 45 °C", "45 °F", ""),
    ("1 month", "30 days", ""),
    ("5 m", "5 min", ""),
    ("31 May 2024", "30 May 2024", ""),
    ("31 May 2024", "On 31 May 2024 or on 1 June 2024.", ""),
    ("45", "Either 45 seats, 50 seats, 60 seats.", "How many seats?"),
    ("R39", "R39 or R40", ""),
    ("R39", "R38, R39, R40", ""),
    ("R3", "R39", ""),
    ("USB", "It is a USB-C port.", ""),
    ("RS-485", "It has RS-485 and RS-232 ports.", ""),
    ("2.1", "21", ""),
    ("2.1.3", "2.1.4", ""),
    ("10:30", "10:45", ""),
    ("red", "It is red or blue.", ""),
    ("red", "red, blue, green", ""),
    ("red", "It comes in red, blue and green.", ""),
    ("red", "red/blue/green", ""),
    ("rot", "Rot oder blau.", ""),
    ("rouge", "C'est rouge ou bleu.", ""),
    ("red", "It is not red.", ""),
    ("red", "It isn't really red.", ""),
    ("red", "It's blue, not red.", ""),
    ("rot", "Es ist nicht rot, sondern blau.", ""),
    ("rouge", "Ce n'est pas rouge.", ""),
    ("rojo", "No es rojo.", ""),
    ("steel", "It is steely.", ""),
    ("Finch 1", "The Finch 10.", ""),
    ("Anna Smith", "Anna Smith and Bob Jones.", ""),
    ("red, blue and green", "It comes in red and blue.", ""),
    ("red, blue and green", "It comes in red, blue, green and black.", ""),
    ("Panther 75", "The Panther 75 and the Tiger 25.", "Which costs more, the Panther 75 or the Tiger 25?"),
    ("Panther 75", "Tiger 25.", "Which costs more, the Panther 75 or the Tiger 25?"),
    ("Swamp 35", "Hazel 30 versus Swamp 35", "Comparing the Hazel 30 with the Swamp 35, which one is lighter?"),
    ("red", "red versus blue", "Is it red or blue?"),
    ("red", "It is red or blue.", "Is it red or blue?"),
    ("Denmark", "Denmark, maybe Poland too", "Is it made in Denmark or in Poland?"),
    ("yes", "No.", ""),
    ("yes", "Yes and no.", ""),
    ("no", "There is no doubt about it: it is waterproof.", ""),
    ("no", "Yes, there is no problem.", ""),
    ("yes", "It depends; yes, if dry.", ""),
    ("340 g", f"340 g. {REFUSAL}", ""),
    ("340 g", f"{REFUSAL} Perhaps 340 g.", ""),
    (REFUSAL, REFUSAL, ""),
    (REFUSAL, "340 g", ""),
    ("red", "the red one " + "and then there is much more to tell about lamps " * 4, ""),
    ("brass", "It is a noise meter. It is made of brass. " + "It goes on about metals and much else. " * 6, ""),
    ("40 s", "Every 40 s. " + "It goes on about waiting and much else. " * 6 + "Every 50 s.", ""),
    (LONG, "Rinse the filter with cold water.", ""),
    (LONG, LONG.replace("let it", "do not let it"), ""),
    ("Wait 30 minutes " + LONG, "Wait 45 minutes " + LONG, ""),
    ("340 g", "", ""),
    ("340 g", "\ufffd", ""),
]


@pytest.mark.parametrize(("reference", "prediction", "question"), RIGHT)
def test_the_value_is_given(reference, prediction, question):
    assert value_match(prediction, [reference], question, [REFUSAL]) == 1.0


@pytest.mark.parametrize(("reference", "prediction", "question"), WRONG)
def test_the_value_is_not_given(reference, prediction, question):
    assert value_match(prediction, [reference], question, [REFUSAL]) == 0.0


def test_any_reference_will_do_and_the_others_are_no_competitors():
    assert value_match("It weighs 340 g, that is 12 oz.", ["340 g", "12 oz"]) == 1.0
    assert value_match("It weighs 340 g, that is 13 oz.", ["340 g", "12 oz"]) == 0.0
    assert value_match("It costs more: the Panther.", ["Panther 75", "Panther"]) == 1.0
    with pytest.raises(ValueError, match="at least one reference"):
        value_match("340 g", [])


@given(st.text(max_size=30), st.text(max_size=30), st.text(max_size=30))
def test_whatever_is_said_there_is_a_score_and_an_exact_match_counts(prediction, reference, question):
    found = value_match(prediction, [reference], question)
    assert found in (0.0, 1.0)
    assert not (found and not prediction.strip())


@given(st.text("abc 1.,", min_size=1, max_size=12).filter(lambda text: any(map(str.isalnum, text))))
def test_an_exact_match_gives_the_value(text):
    assert exact_match(text, [text]) == value_match(text, [text]) == 1.0


@given(st.integers(1, 9999), st.integers(1, 9999))
def test_of_two_quantities_only_the_right_one_alone_counts(right, other):
    both = f"It takes {right} W or rather {other} W."
    assert value_match(f"It takes {right / 1000} kW.", [f"{right} W"]) == 1.0
    assert value_match(f"It takes {other} W.", [f"{right} W"]) == float(other == right)
    assert value_match(both, [f"{right} W"]) == 0.0
