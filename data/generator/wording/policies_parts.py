"""Wordings of the policies about spare parts and calibration certificates."""

from data.generator.attribute import Attribute

SPARE_PARTS = (
    Attribute(
        "parts_years",
        "Spare parts kept for",
        ("3 years", "5 years", "7 years", "10 years", "12 years", "14 years", "20 years"),
        (
            "For how many years does {s} keep spare parts?",
            "How long are spare parts available from {s}?",
            "How long after the end of sales does {s} supply spare parts?",
            "What spare part availability does {s} guarantee?",
            "Until when can I still get spare parts from {s}?",
            "Over what period does {s} stock spare parts?",
            "How many years of spare parts does {s} promise?",
            "My device is no longer sold. How long will {s} have parts for it?",
            "Spare parts for old {s} devices: stocked how long?",
        ),
        (
            "Spare parts are kept for {v}.",
            "{s} supplies spare parts for {v} after the end of sales.",
            "We guarantee spare parts for {v}.",
            "Parts for a product stay in stock for {v}.",
        ),
    ),
    Attribute(
        "parts_order",
        "Order spare parts from",
        (
            "the online shop",
            "the parts catalogue",
            "a local dealer",
            "the order hotline",
            "the service portal",
            "the trade counter",
        ),
        (
            "Where do I order spare parts for {s} products?",
            "How can I order a spare part from {s}?",
            "Through what does {s} sell spare parts?",
            "I need a new seal. Where does {s} offer spare parts?",
            "Which source does {s} name for ordering parts?",
            "Where are {s} spare parts sold?",
            "What should I use to order parts from {s}?",
            "Buying a spare part for my {s} unit: where?",
            "Who sells parts for {s} instruments?",
        ),
        (
            "Spare parts are ordered through {v}.",
            "{s} sells spare parts through {v}.",
            "To order a part, turn to {v}.",
            "All spare parts can be had from {v}.",
        ),
    ),
    Attribute(
        "parts_delivery",
        "Delivery of spare parts",
        ("2 days", "3 days", "5 days", "7 days", "10 days", "12 days", "14 days"),
        (
            "How long does the delivery of spare parts from {s} take?",
            "How fast does {s} deliver a spare part?",
            "When will a spare part from {s} reach me?",
            "In how many days does a spare part from {s} arrive?",
            "What is the delivery time for parts at {s}?",
            "How long will I wait for a part ordered from {s}?",
            "{s} spare parts come after how many days?",
            "If I order a part at {s} now, how many days until it is here?",
            "Parts delivery at {s} takes how long?",
        ),
        (
            "Spare parts arrive within {v}.",
            "{s} delivers a spare part in {v}.",
            "The delivery time for parts is {v}.",
            "A part is with the customer after {v}.",
        ),
    ),
)

CERTIFICATES = (
    Attribute(
        "certificate_validity",
        "Certificate valid for",
        ("12 months", "14 months", "20 months", "24 months", "30 months", "36 months", "48 months"),
        (
            "How long is a calibration certificate from {s} valid?",
            "When does a {s} calibration certificate expire?",
            "For how many months does a certificate from {s} hold?",
            "What is the validity of certificates issued by {s}?",
            "After how long do I need a new certificate from {s}?",
            "Our auditor asks: how long do certificates from {s} count?",
            "How many months does {s} certify an instrument for?",
            "Until when may I rely on a {s} calibration certificate?",
            "Certificate from {s}: months of validity?",
        ),
        (
            "A calibration certificate is valid for {v}.",
            "Certificates from {s} hold for {v}.",
            "The certificate expires after {v}.",
            "An instrument is certified for {v}.",
        ),
    ),
    Attribute(
        "certificate_issuer",
        "Certificates issued by",
        (
            "the metrology team",
            "an outside laboratory",
            "the quality office",
            "the national institute",
            "the test bench crew",
        ),
        (
            "Who issues the calibration certificates of {s}?",
            "Which body signs certificates for {s}?",
            "Who is responsible for certificates at {s}?",
            "By whom are {s} instruments certified?",
            "Whose signature is on a {s} certificate?",
            "Who writes calibration certificates for {s} devices?",
            "Which team or laboratory certifies instruments from {s}?",
            "From whom does a certificate for a {s} unit come?",
            "Name the issuer of certificates at {s}.",
        ),
        (
            "Certificates are issued by {v}.",
            "At {s}, {v} signs every certificate.",
            "The issuer of all calibration certificates is {v}.",
            "Each instrument is certified by {v}.",
        ),
    ),
    Attribute(
        "certificate_price",
        "Price of a certificate",
        ("20 euros", "24 euros", "30 euros", "36 euros", "45 euros", "48 euros", "60 euros", "90 euros"),
        (
            "What does a calibration certificate from {s} cost?",
            "How much is a certificate at {s}?",
            "Which price does {s} charge for a calibration certificate?",
            "How expensive is it to have an instrument certified by {s}?",
            "What do I pay {s} for a certificate?",
            "Is a certificate from {s} free, or what is its price?",
            "What will {s} bill me for a calibration certificate?",
            "Price of a {s} certificate, please?",
            "How many euros does certification by {s} cost?",
        ),
        (
            "A calibration certificate costs {v}.",
            "{s} charges {v} for a certificate.",
            "The price of a certificate is {v}.",
            "Having an instrument certified costs {v}.",
        ),
    ),
)

PARTS = {
    "Spare parts": SPARE_PARTS,
    "Calibration certificates": CERTIFICATES,
}
