"""Wordings of the policies about prices: discounts, trade-in and recycling."""

from data.generator.attribute import Attribute

DISCOUNTS = (
    Attribute(
        "volume_discount",
        "Volume discount",
        ("2 percent", "3 percent", "5 percent", "7 percent", "10 percent", "12 percent", "14 percent", "20 percent"),
        (
            "How large is the volume discount at {s}?",
            "What discount does {s} give on large orders?",
            "How much cheaper is it to buy many units from {s}?",
            "Which reduction do bulk buyers get from {s}?",
            "We want to order a whole batch: what discount can {s} offer?",
            "By how much does {s} lower the price for bulk orders?",
            "What percentage do I save at {s} when buying in quantity?",
            "Bulk discount of {s}?",
            "What rebate is granted by {s} for big orders?",
        ),
        (
            "The volume discount is {v}.",
            "{s} takes {v} off large orders.",
            "Bulk buyers save {v}.",
            "For orders in quantity the price falls by {v}.",
        ),
    ),
    Attribute(
        "discount_quantity",
        "Discount from",
        ("5 units", "7 units", "10 units", "12 units", "20 units", "24 units", "30 units", "48 units"),
        (
            "How many units must I buy before {s} gives a discount?",
            "From what quantity does the discount of {s} apply?",
            "What is the smallest order that earns a discount at {s}?",
            "How big does an order have to be for bulk prices at {s}?",
            "At which number of units do lower prices start at {s}?",
            "{s} discounts begin at what order size?",
            "Minimum quantity for a discount from {s}?",
            "How many pieces should we order so that {s} reduces the price?",
            "Which order size unlocks the bulk price of {s}?",
        ),
        (
            "Discounts start at {v}.",
            "An order needs at least {v} to earn a discount.",
            "{s} grants bulk prices from {v} upwards.",
            "The smallest order with a discount is {v}.",
        ),
    ),
    Attribute(
        "discount_approval",
        "Special prices approved by",
        ("the sales director", "the regional manager", "the key account team", "the finance office", "the export desk"),
        (
            "Who approves special prices at {s}?",
            "Who may agree to an extra discount at {s}?",
            "Whom do I ask at {s} for a special price?",
            "Which person or team at {s} signs off special offers?",
            "Who has the final word on individual prices at {s}?",
            "An exceptional price at {s} must be approved by whom?",
            "Which office decides about special prices at {s}?",
            "Who is allowed to grant a price below the list at {s}?",
            "Special price request to {s}: who decides?",
        ),
        (
            "Special prices are approved by {v}.",
            "At {s}, {v} decides about individual prices.",
            "Any price below the list needs the consent of {v}.",
            "Requests for a special price go to {v}.",
        ),
    ),
)

TRADE_IN = (
    Attribute(
        "trade_in_credit",
        "Trade-in credit",
        ("10 euros", "12 euros", "20 euros", "24 euros", "30 euros", "45 euros", "60 euros"),
        (
            "How much does {s} pay for an old instrument in exchange for a new one?",
            "What credit does {s} give when I trade in my old device?",
            "What is my old instrument worth in a trade-in at {s}?",
            "How high is the trade-in credit of {s}?",
            "I want to swap my old unit. What does {s} take off the new price?",
            "Which amount does {s} credit for a trade-in?",
            "Trading in a used device at {s} earns me what?",
            "What will {s} credit me for handing in a used instrument?",
            "Trade-in at {s}: how many euros?",
        ),
        (
            "The trade-in credit is {v}.",
            "{s} credits {v} for every old instrument.",
            "Whoever hands in a used device gets {v} off the new one.",
            "A trade-in is worth {v}.",
        ),
    ),
    Attribute(
        "trade_in_age",
        "Oldest trade-in",
        ("2 years", "3 years", "5 years", "7 years", "10 years", "12 years"),
        (
            "How old may a device be for a trade-in at {s}?",
            "Up to what age does {s} accept instruments for trade-in?",
            "What is the age limit for trade-ins at {s}?",
            "Is my instrument too old to trade in at {s}? What is the limit?",
            "What is the oldest device {s} takes in exchange?",
            "{s} trades in units up to which age?",
            "How many years old can a traded-in {s} device be?",
            "After how many years is a trade-in refused by {s}?",
            "Maximum age of a trade-in at {s}?",
        ),
        (
            "Devices up to {v} old can be traded in.",
            "{s} accepts trade-ins no older than {v}.",
            "The age limit for a trade-in is {v}.",
            "An instrument older than {v} cannot be traded in.",
        ),
    ),
    Attribute(
        "recycling_point",
        "Recycling point",
        (
            "any dealer",
            "the factory gate",
            "the nearest post office",
            "the service van",
            "the town depot",
            "the repair shop",
        ),
        (
            "Where can I hand in a {s} device for recycling?",
            "Where does {s} collect old instruments?",
            "My instrument is dead. Where do I recycle it according to {s}?",
            "What is the recycling point named by {s}?",
            "To which place should worn-out {s} units be taken?",
            "Where does scrap equipment from {s} go?",
            "Who or what place accepts {s} products for recycling?",
            "At what place are broken {s} devices handed in for disposal?",
            "Disposal of an old {s} instrument: where?",
        ),
        (
            "Old devices are handed in for recycling at {v}.",
            "{s} collects worn-out instruments at {v}.",
            "The recycling point is {v}.",
            "Take scrap equipment to {v}.",
        ),
    ),
)

PRICES = {
    "Discounts": DISCOUNTS,
    "Trade-in and recycling": TRADE_IN,
}
