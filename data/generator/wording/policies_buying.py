"""Wordings of the policies a customer meets when buying: returns, shipping, payment."""

from data.generator.attribute import Attribute

RETURNS = (
    Attribute(
        "return_window", "Return period",
        ("7 days", "10 days", "14 days", "21 days", "30 days", "45 days", "60 days", "90 days"),
        (
            "How long do I have to return something I bought from {s}?",
            "Within how many days does {s} take a product back?",
            "What is the return period at {s}?",
            "I changed my mind. Until when can I send my order back to {s}?",
            "{s} returns: how many days after delivery?",
            "For how long does {s} accept returns?",
            "My instrument arrived last week; how much time does {s} give me to return it?",
            "How many days can a customer keep an item before {s} refuses the return?",
            "By when must goods be sent back to {s}?",
            "Tell me the time limit for returns at {s}.",
        ),
        (
            "Products can be returned within {v} of delivery.",
            "{s} takes goods back for {v} after they arrive.",
            "The return period is {v}.",
            "A customer who changes their mind has {v} to send the order back.",
            "Returns are accepted for {v}.",
        ),
    ),
    Attribute(
        "return_condition", "Condition of returned goods",
        ("in the original box", "with all accessories", "clean and dry", "with an unbroken seal",
         "without the battery"),
        (
            "In what condition does {s} want returned goods?",
            "How must an item look when I send it back to {s}?",
            "What does {s} require of a returned product?",
            "Can I return an opened product to {s}, and in what state?",
            "How should I pack a return for {s}?",
            "{s} only takes returns in which condition?",
            "What has to be true of the goods before {s} accepts the return?",
            "State the condition that {s} sets for returned items.",
            "Which requirement must my returned instrument meet at {s}?",
        ),
        (
            "Returned goods must arrive {v}.",
            "We accept an item back only {v}.",
            "{s} asks that every return is sent {v}.",
            "A return is complete when the product comes back {v}.",
        ),
    ),
    Attribute(
        "restocking_fee", "Restocking fee",
        ("2 percent", "3 percent", "5 percent", "7 percent", "10 percent", "12 percent", "no fee"),
        (
            "How high is the restocking fee at {s}?",
            "What does {s} charge for restocking a returned item?",
            "Does {s} keep part of the price when I return something, and how much?",
            "Which restocking fee will {s} take off my refund?",
            "{s} restocking fee?",
            "How much is deducted for restocking by {s}?",
            "What share of the price does {s} hold back for restocking?",
            "If I send goods back, how large is the restocking charge of {s}?",
            "Name the fee {s} applies when returned goods go back to stock.",
        ),
        (
            "The restocking fee is {v}.",
            "For putting goods back on the shelf, {s} charges {v} of the price.",
            "On returns the restocking charge comes to {v}.",
            "When an item is returned, restocking costs {v}.",
        ),
    ),
)

SHIPPING = (
    Attribute(
        "shipping_method", "Shipping method",
        ("by courier", "by post", "by rail freight", "by cargo bike", "by overnight express", "by pallet service"),
        (
            "How does {s} ship its orders?",
            "By what means are parcels from {s} sent?",
            "Which way of shipping does {s} use?",
            "How will my order from {s} be transported?",
            "What shipping method is standard at {s}?",
            "Does {s} send goods by post, by courier or otherwise?",
            "In which way do deliveries from {s} travel?",
            "Standard shipping at {s} is done how?",
            "How do the goods get from {s} to me?",
        ),
        (
            "Orders are shipped {v}.",
            "Standard shipping at {s} goes {v}.",
            "Parcels travel {v}.",
            "We send all goods {v} unless agreed otherwise.",
        ),
    ),
    Attribute(
        "dispatch_time", "Dispatch time",
        ("2 working days", "3 working days", "5 working days", "7 working days", "10 working days", "12 working days"),
        (
            "How soon does {s} dispatch an order?",
            "How long until my order leaves the {s} warehouse?",
            "What is the dispatch time at {s}?",
            "I ordered today; when will {s} hand it over for dispatch?",
            "How many working days does {s} need before dispatch?",
            "In what time are orders dispatched by {s}?",
            "How quickly do orders go out at {s}?",
            "After payment, how long does {s} take to dispatch?",
            "Time from order to dispatch at {s}?",
        ),
        (
            "Orders leave the warehouse within {v}.",
            "{s} dispatches every order in {v}.",
            "The dispatch time is {v}.",
            "It takes {v} until an order is dispatched.",
        ),
    ),
    Attribute(
        "free_shipping", "Free shipping from", ("20 euros", "30 euros", "45 euros", "60 euros", "90 euros"),
        (
            "From which order value does {s} ship for free?",
            "How much must I spend to get free shipping from {s}?",
            "When is shipping free at {s}?",
            "What is the free shipping threshold of {s}?",
            "Above what amount does {s} pay the shipping?",
            "{s} covers shipping costs from how many euros?",
            "What do I have to order so that {s} charges no postage?",
            "Starting at what total is delivery by {s} free of charge?",
            "Minimum order for free delivery at {s}?",
        ),
        (
            "Shipping is free from {v}.",
            "{s} pays the shipping for orders above {v}.",
            "Customers who spend {v} or more pay no shipping.",
            "The free shipping threshold is {v}.",
        ),
    ),
)

PAYMENT = (
    Attribute(
        "payment_term", "Payment term", ("7 days", "10 days", "14 days", "21 days", "30 days", "45 days", "60 days"),
        (
            "What is the payment term on invoices from {s}?",
            "How long do I have to pay a {s} invoice?",
            "When is an invoice from {s} due?",
            "How many days does {s} allow for payment?",
            "Until when must the bill from {s} be paid?",
            "{s} invoices are payable within what time?",
            "Our accounting asks: what payment term does {s} grant?",
            "How soon does {s} want its money?",
            "After how many days does a {s} invoice fall due?",
        ),
        (
            "Invoices are due within {v}.",
            "{s} grants a payment term of {v}.",
            "Please pay each invoice in {v}.",
            "Customers have {v} to pay a bill.",
        ),
    ),
    Attribute(
        "payment_method", "Preferred payment",
        ("bank transfer", "credit card", "direct debit", "prepayment", "cash on delivery", "purchase order"),
        (
            "Which method of payment does {s} prefer?",
            "How does {s} want to be paid?",
            "What is the standard way to pay at {s}?",
            "Can I pay {s} by card, or what is the usual method?",
            "What form of payment is the default at {s}?",
            "By what means are {s} orders paid?",
            "Which payment type should I choose at {s}?",
            "How are bills from {s} normally settled?",
            "Paying {s}: which method is the preferred one?",
        ),
        (
            "The preferred payment method is {v}.",
            "{s} asks customers to pay through {v}.",
            "By default, orders are settled by {v}.",
            "We recommend {v} as the way to pay.",
        ),
    ),
    Attribute(
        "late_fee", "Late payment fee", ("3 euros", "5 euros", "7 euros", "10 euros", "12 euros", "20 euros"),
        (
            "What fee does {s} charge for late payment?",
            "How much does a payment reminder from {s} cost?",
            "I paid too late. What will {s} add to the bill?",
            "What is the late fee at {s}?",
            "How expensive is paying an invoice from {s} late?",
            "Which extra charge follows an overdue {s} invoice?",
            "What does {s} demand when a bill is overdue?",
            "If we miss the due date, what is the charge by {s}?",
            "Overdue invoice at {s}: how high is the fee?",
        ),
        (
            "Late payment costs {v}.",
            "{s} charges {v} for each reminder.",
            "An overdue invoice carries a fee of {v}.",
            "When payment is late, {v} are added to the bill.",
        ),
    ),
)

BUYING = {
    "Returns": RETURNS,
    "Shipping": SHIPPING,
    "Payment and invoices": PAYMENT,
}
