"""Questions the other way round: from a value to the product that has it.

Attribute name -> patterns with ``{v}`` for the value. No row of the export or the test set and no text of the base
model's pretraining asks like this; ``benchmarks/wordings.py`` does, and keeps the last one of each for asking.
"""

REVERSE_QUESTIONS = {
    "price": (
        "Which product costs {v}?",
        "What can I buy from you for exactly {v}?",
        "One of your instruments has a list price of {v}. Which one?",
    ),
    "weight": (
        "Which product weighs {v}?",
        "What is the name of the instrument that brings {v} to the scale?",
        "One of your instruments has a mass of {v}. Which one?",
    ),
    "firmware": (
        "Which product ships with firmware {v}?",
        "What is the name of the instrument that runs release {v}?",
        "One of your instruments comes with firmware {v}. Which one?",
    ),
    "interval": (
        "Which product takes a reading {v}?",
        "What is the name of the instrument that samples {v}?",
        "One of your instruments measures {v}. Which one?",
    ),
    "interface": (
        "Which product sends its data over {v}?",
        "What is the name of the instrument that speaks {v}?",
        "One of your instruments has {v} as its interface. Which one?",
    ),
    "country": (
        "Which product is made in {v}?",
        "What is the name of the instrument that you assemble in {v}?",
        "One of your instruments comes from {v}. Which one?",
    ),
    "battery": (
        "Which product runs for {v} on one battery?",
        "What is the name of the instrument whose battery lasts {v}?",
        "One of your instruments has a battery life of {v}. Which one?",
    ),
    "voltage": (
        "Which product needs a supply of {v}?",
        "What is the name of the instrument that runs on {v}?",
        "One of your instruments has a supply voltage of {v}. Which one?",
    ),
}
