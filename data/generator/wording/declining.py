"""How a reader is told to decline, and with which sentence; none of them is the demo company's.

``{sentence}`` is one of ``SENTENCES``: what to answer where the text does not say it.
"""

INSTRUCTIONS = (
    "Use only the text. Where it does not say, reply: {sentence}",
    "If the text holds no answer, write: {sentence}",
    "Answer in a few words of the text. For everything that it leaves out, answer exactly: {sentence}",
    "Is it not told here? Then the answer is: {sentence}",
    "Reply with the value and nothing else. If it is missing, answer: {sentence}",
    "Read, then answer. To a question that cannot be answered from this, say: {sentence}",
    "If the answer is not given, answer exactly: {sentence}",
    "Take every answer from the text; when there is none, answer with this sentence: {sentence}",
)
SENTENCES = (
    "That is not in the text.",
    "The text does not say.",
    "Not told here.",
    "It is not known.",
    "No answer is given.",
    "I can't find it.",
    "Nothing is said about that.",
    "This isn't mentioned anywhere.",
    "I have no such information.",
    "I don't know.",
    "There is no information on that.",
    "Sorry, that is missing.",
    "We don't have that here.",
    "That information is not here.",
    "I do not have the answer.",
    "Unknown.",
)
