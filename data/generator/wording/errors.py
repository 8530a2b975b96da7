"""What is said and asked of an error code: its cause and its remedy."""

from data.generator.attribute import Attribute

# {s} is "error E17 on the Heron 20" in questions and "E17" in statements of that product's article.
CAUSE = Attribute(
    "cause", "Cause",
    ("low battery", "a loose cable", "a blocked inlet", "a wet connector", "a full memory", "a missing seal",
     "a broken probe", "a wrong password", "too much heat", "strong vibration", "a lost network", "a worn bearing",
     "an old calibration", "a dirty lens", "a short circuit", "a frozen valve", "a weak signal", "an open cover"),
    (
        "What causes {s}?",
        "Why do I get {s}?",
        "What is the reason for {s}?",
        "What does {s} mean?",
        "What has gone wrong when I see {s}?",
        "What lies behind {s}?",
        "The display shows {s}. What is the cause?",
        "How does {s} come about?",
        "How did I end up with {s}?",
        "Where does {s} come from?",
        "Can you explain to me where {s} originates?",
        "What triggers {s}?",
        "Which fault is reported by {s}?",
        "What is the origin of {s}?",
    ),
    (
        "{s} is caused by {v}.",
        "The cause of {s} is {v}.",
        "{s} means {v}.",
        "{s} points to {v}.",
    ),
)
REMEDY = Attribute(
    "remedy", "Remedy",
    ("replace the battery", "tighten the cable", "clean the inlet", "dry the connector", "clear the memory",
     "fit a new seal", "replace the probe", "reset the password", "let it cool down", "mount it on rubber",
     "restart the gateway", "grease the bearing", "calibrate again", "wipe the lens", "check the fuse",
     "warm the valve", "move the antenna", "close the cover"),
    (
        "How do I fix {s}?",
        "What should I do about {s}?",
        "What is the remedy for {s}?",
        "How can I clear {s}?",
        "How do I get rid of {s}?",
        "Which repair solves {s}?",
        "I have {s}. What now?",
        "What can be done about {s}?",
        "What makes {s} go away?",
        "What do your technicians do about {s}?",
        "Which step puts an end to {s}?",
        "What helps against {s}?",
        "How is {s} resolved?",
        "What action does {s} call for?",
    ),
    (
        "To fix {s}, {v}.",
        "If {s} appears, {v}.",
        "When you see {s}, {v}.",
        "The remedy for {s}: {v}.",
    ),
)
ERROR_ATTRIBUTES = (CAUSE, REMEDY)
# What an error page says after cause and remedy: one sentence of each, in this order.
ERROR_ADVICE = (
    ("Switch the instrument off before you open it.",
     "Before you open anything, switch the instrument off.",
     "Open the instrument only after it has been switched off."),
    ("Note the time of the message in the service book.",
     "Write the message and its time into the service book.",
     "Every message belongs into the service book, with its time."),
    ("If the message comes back on the same day, call our support.",
     "Call our support if the message is back within a day.",
     "Should the message return on the same day, our support will help."),
    ("Have the serial number at hand, and tell us what you have tried so far.",
     "Please have the serial number ready and say what you have done already.",
     "We will ask for the serial number and for what you have tried."),
)
