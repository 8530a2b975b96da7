"""Wordings of the policies around service: warranty claims, support, repairs."""

from data.generator.attribute import Attribute

CLAIMS = (
    Attribute(
        "claim_address", "Warranty claims go to",
        ("the service desk in Lyon", "the claims office in Porto", "the workshop in Graz", "the front desk in Malmo",
         "the depot in Gdansk", "the help centre in Cork"),
        (
            "Where do I send a warranty claim to {s}?",
            "Which office of {s} handles warranty claims?",
            "To whom at {s} should a claim be addressed?",
            "Where are warranty claims processed at {s}?",
            "My unit broke under warranty. Which place at {s} takes the claim?",
            "What is the address for claims at {s}?",
            "Who receives claims for {s}?",
            "Claims against {s} go to which desk?",
            "A defect under warranty: which {s} office do I write to?",
        ),
        (
            "Warranty claims go to {v}.",
            "{s} handles claims at {v}.",
            "Please address a claim to {v}.",
            "Every warranty claim is processed by {v}.",
        ),
    ),
    Attribute(
        "claim_proof", "Proof for a claim",
        ("the invoice number", "a photo of the defect", "the serial number", "the delivery note", "a log file",
         "the warranty card"),
        (
            "What proof does {s} need for a warranty claim?",
            "What must I attach to a claim at {s}?",
            "Which document does {s} ask for with a claim?",
            "What do I have to show {s} to claim warranty?",
            "Which evidence belongs to a {s} warranty claim?",
            "What should I have ready before I file a claim with {s}?",
            "{s} wants to see what when I claim?",
            "Without what will {s} turn down a claim?",
            "What has to come with every claim sent to {s}?",
        ),
        (
            "A claim must contain {v}.",
            "As proof, {s} asks for {v}.",
            "Please attach {v} to every claim.",
            "Without {v} a claim is not accepted.",
        ),
    ),
    Attribute(
        "claim_reply", "Decision on a claim",
        ("3 days", "5 days", "7 days", "10 days", "14 days", "20 days", "21 days"),
        (
            "How long does {s} take to decide on a claim?",
            "When will {s} answer my warranty claim?",
            "How many days until {s} decides about a claim?",
            "What is the decision time for claims at {s}?",
            "I filed a claim. How long until {s} tells me the result?",
            "Within what time are claims decided by {s}?",
            "How fast does {s} settle warranty claims?",
            "After a claim, how long do I wait for the verdict of {s}?",
            "Claim filed at {s}: decision after how many days?",
        ),
        (
            "Claims are decided within {v}.",
            "{s} decides on a claim in {v}.",
            "A claim is settled after {v} at the latest.",
            "The customer hears the decision on a claim within {v}.",
        ),
    ),
)

SUPPORT = (
    Attribute(
        "support_hours", "Support hours",
        ("from 7 to 5", "from 8 to 4", "from 8 to 6", "from 9 to 3", "from 9 to 5", "around the clock",
         "in the mornings only"),
        (
            "When can I reach the support of {s}?",
            "What are the support hours at {s}?",
            "At what times is the {s} hotline staffed?",
            "When does support at {s} answer the phone?",
            "During which hours does {s} offer support?",
            "How late can I call {s} support?",
            "Is the support line of {s} open now? What are its hours?",
            "Opening hours of the {s} support line?",
            "Between what times do people at {s} take support calls?",
        ),
        (
            "Support is available {v}.",
            "The hotline of {s} is staffed {v}.",
            "You can call support {v}.",
            "On working days our support team answers {v}.",
        ),
    ),
    Attribute(
        "support_channel", "First contact",
        ("the web form", "the chat window", "a phone call", "a letter", "the mobile app", "a video call"),
        (
            "What is the best way to contact {s} support?",
            "Through which channel does {s} want support requests?",
            "How should I get in touch with {s} about a problem?",
            "Which channel is the first contact for help at {s}?",
            "How do I open a support request with {s}?",
            "By what channel are problems reported to {s}?",
            "What does {s} recommend for contacting its support?",
            "To report a fault to {s}, what do I use?",
            "First contact with {s} support happens through what?",
        ),
        (
            "The first contact for support is {v}.",
            "{s} takes support requests through {v}.",
            "To report a problem, use {v}.",
            "Help is requested through {v}.",
        ),
    ),
    Attribute(
        "first_reply", "First reply",
        ("2 hours", "3 hours", "5 hours", "7 hours", "12 hours", "24 hours", "36 hours", "48 hours"),
        (
            "How quickly does {s} support give a first reply?",
            "How long until somebody at {s} reads my request?",
            "When can I expect a first reply from {s}?",
            "What reply time does {s} promise for support requests?",
            "How many hours does it take {s} to answer a ticket?",
            "I wrote to support at {s}; how soon will I hear back?",
            "In how many hours does the {s} team react to a request?",
            "What is the promised response time of {s} support?",
            "Maximum wait for a first answer from {s}?",
        ),
        (
            "The first reply comes within {v}.",
            "{s} answers a support request in {v}.",
            "You will hear back after {v} at most.",
            "The promised reply time is {v}.",
        ),
    ),
)

REPAIRS = (
    Attribute(
        "repair_place", "Repairs are done in",
        ("the Turin workshop", "the Bergen workshop", "the Leipzig plant", "the Ghent plant", "the Brno laboratory",
         "the Oulu laboratory"),
        (
            "Where does {s} repair its instruments?",
            "In which workshop are {s} devices repaired?",
            "Where will my broken unit be fixed by {s}?",
            "What place does the repairs for {s}?",
            "To which location does {s} send instruments for repair?",
            "Where is the repair centre of {s}?",
            "My device needs fixing. Where does {s} do that?",
            "Which site of {s} carries out repairs?",
            "Repairs at {s} happen where?",
        ),
        (
            "Repairs are done in {v}.",
            "{s} repairs its instruments in {v}.",
            "Broken units are fixed in {v}.",
            "All repair work takes place in {v}.",
        ),
    ),
    Attribute(
        "repair_time", "Repair time",
        ("3 working days", "5 working days", "7 working days", "10 working days", "12 working days",
         "14 working days", "20 working days"),
        (
            "How long does a repair at {s} take?",
            "When do I get my instrument back from repair at {s}?",
            "How many working days does {s} need for a repair?",
            "What is the usual repair time at {s}?",
            "How fast does {s} fix a broken device?",
            "My unit is in repair with {s}; how long will it be away?",
            "How soon is a repair finished at {s}?",
            "For how many working days must I do without a device in repair at {s}?",
            "Typical duration of a {s} repair?",
        ),
        (
            "A repair takes {v}.",
            "{s} finishes repairs in {v}.",
            "The usual repair time is {v}.",
            "Expect a repaired instrument back after {v}.",
        ),
    ),
    Attribute(
        "loan_device", "Loan device",
        ("free of charge", "for a small deposit", "on request only", "for dealers only", "at a weekly rate"),
        (
            "Can I get a loan device from {s} during a repair, and how?",
            "On what terms does {s} lend a device while mine is repaired?",
            "What are the conditions for a loan device at {s}?",
            "How does {s} provide replacement units during repairs?",
            "Does {s} lend instruments, and under which condition?",
            "I need a loan unit while {s} fixes mine. What are the terms?",
            "Loan instruments from {s} are offered how?",
            "Under what terms can I borrow a unit from {s}?",
            "How are loan devices handed out at {s}?",
        ),
        (
            "A loan device is available {v}.",
            "{s} lends replacement units {v}.",
            "During a repair we offer a loan device {v}.",
            "Loan instruments are handed out {v}.",
        ),
    ),
)

SERVICE = {
    "Warranty claims": CLAIMS,
    "Support": SUPPORT,
    "Repairs": REPAIRS,
}
