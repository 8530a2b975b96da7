"""Wordings of the policies about courses, subscriptions and visits."""

from data.generator.attribute import Attribute

COURSES = (
    Attribute(
        "course_place", "Courses are held",
        ("in the training barn", "at the head office", "in the harbour hall", "at the test field", "in the old mill",
         "in the town library"),
        (
            "Where does {s} hold its training courses?",
            "Where do {s} courses take place?",
            "At which place does {s} train customers?",
            "I booked a course with {s}. Where do I have to go?",
            "What is the venue for courses by {s}?",
            "To what location should I come for a {s} training?",
            "Where are customers taught by {s}?",
            "Which venue does {s} use for teaching?",
            "Location of the {s} training?",
        ),
        (
            "Courses are held {v}.",
            "{s} trains its customers {v}.",
            "All training takes place {v}.",
            "Participants meet {v}.",
        ),
    ),
    Attribute(
        "course_length", "Course length", ("2 days", "3 days", "5 days", "7 days", "10 days"),
        (
            "How long is a training course at {s}?",
            "How many days does a {s} course last?",
            "What is the length of a course by {s}?",
            "How much time should I plan for a {s} training?",
            "For how many days do courses at {s} run?",
            "My boss asks how long I will be away for the {s} course.",
            "Over how many days does {s} spread its training?",
            "How many days of training does {s} give?",
            "Duration of a {s} course?",
        ),
        (
            "A course lasts {v}.",
            "{s} teaches each course over {v}.",
            "The course length is {v}.",
            "Plan {v} for a training course.",
        ),
    ),
    Attribute(
        "course_size", "Course size",
        ("5 people", "7 people", "10 people", "12 people", "14 people", "20 people", "24 people", "30 people"),
        (
            "How many people can join a course at {s}?",
            "What is the largest group in a {s} training?",
            "How big are the course groups at {s}?",
            "How many places does a {s} course have?",
            "What is the maximum number of participants at {s}?",
            "Up to how many people does {s} teach at once?",
            "Can our whole team come? How many people does {s} take per course?",
            "When is a course of {s} full?",
            "Group size in {s} courses?",
        ),
        (
            "A course has room for {v}.",
            "{s} teaches groups of up to {v}.",
            "At most {v} can take part.",
            "The largest course group is {v}.",
        ),
    ),
)

SUBSCRIPTION = (
    Attribute(
        "trial_period", "Free trial", ("7 days", "10 days", "14 days", "21 days", "30 days", "45 days", "60 days"),
        (
            "How long is the free trial of the {s} cloud plan?",
            "For how many days can I test the {s} subscription for free?",
            "What trial period does {s} offer?",
            "When does my free trial at {s} end?",
            "How long can I try the {s} cloud before paying?",
            "How much trial time does {s} give for its plan?",
            "Free trial with {s}: for how long?",
            "How many free days come with the {s} plan?",
            "After what time does the {s} trial turn into a paid plan?",
        ),
        (
            "The free trial lasts {v}.",
            "{s} lets customers try the cloud plan for {v}.",
            "The cloud plan is free for the first {v}.",
            "After a trial of {v} the plan must be paid.",
        ),
    ),
    Attribute(
        "cancel_notice", "Notice to cancel",
        ("7 days", "14 days", "21 days", "30 days", "45 days", "60 days", "90 days"),
        (
            "What notice do I have to give {s} to cancel my plan?",
            "How early must I cancel my {s} subscription?",
            "What is the notice period for cancelling at {s}?",
            "How long before the end must a {s} plan be cancelled?",
            "I want to quit my {s} subscription. What is the notice?",
            "How many days ahead should I cancel with {s}?",
            "Cancelling a {s} plan requires what notice?",
            "With how much notice can one leave the {s} plan?",
            "Period of notice for the {s} subscription?",
        ),
        (
            "A plan is cancelled with {v} notice.",
            "{s} asks for a notice of {v}.",
            "The notice period for a cancellation is {v}.",
            "To cancel, tell us {v} ahead.",
        ),
    ),
    Attribute(
        "billing_rhythm", "Billing",
        ("every month", "every quarter", "once a year", "every 2 years", "every 3 years", "twice a year"),
        (
            "How often does {s} bill the cloud plan?",
            "When does {s} send the bill for a subscription?",
            "In what rhythm is the {s} plan paid?",
            "How frequently will I be charged for my {s} subscription?",
            "What is the billing rhythm at {s}?",
            "At what interval does {s} charge for its plan?",
            "Is the {s} plan billed by the month or otherwise?",
            "How regularly do subscription bills come from {s}?",
            "Billing of the {s} subscription happens when?",
        ),
        (
            "The plan is billed {v}.",
            "{s} charges for the subscription {v}.",
            "Bills for the cloud plan come {v}.",
            "Customers pay for the plan {v}.",
        ),
    ),
)

VISITS = (
    Attribute(
        "showroom_day", "Showroom open",
        ("on Mondays", "on Tuesdays", "on Wednesdays", "on Thursdays", "on Fridays", "on Saturdays"),
        (
            "On which day is the {s} showroom open?",
            "When can I visit the showroom of {s}?",
            "What day does {s} open its showroom?",
            "Which day of the week suits a visit to the {s} showroom?",
            "We would like to see the products at {s}. On what day?",
            "Opening day of the {s} showroom?",
            "When does {s} let visitors into the showroom?",
            "What weekday should I come to the showroom at {s}?",
            "On what day of the week does {s} welcome guests?",
        ),
        (
            "The showroom is open {v}.",
            "{s} opens its showroom {v}.",
            "Visitors can see the products {v}.",
            "Guests are welcome in the showroom {v}.",
        ),
    ),
    Attribute(
        "visit_booking", "Visits are booked",
        ("by phone", "by e-mail", "at the reception", "through a dealer", "on the website", "with a voucher"),
        (
            "How do I book a visit at {s}?",
            "How are factory visits at {s} booked?",
            "What is the way to arrange a visit to {s}?",
            "How can I sign up for a tour of {s}?",
            "Where or how does {s} take bookings for visits?",
            "How does one get an appointment for a visit at {s}?",
            "In what way should a visit to {s} be booked?",
            "Our class wants to tour {s}. How do we sign up?",
            "Booking a tour of {s} works how?",
        ),
        (
            "Visits are booked {v}.",
            "{s} takes bookings for visits {v}.",
            "An appointment for a tour is made {v}.",
            "To arrange a visit, book {v}.",
        ),
    ),
    Attribute(
        "visitor_gear", "Visitors must wear",
        ("safety shoes", "a hair net", "ear plugs", "a white coat", "a yellow vest", "a name badge"),
        (
            "What must visitors wear at {s}?",
            "What do I have to put on for a tour of {s}?",
            "Which item is required from visitors at {s}?",
            "What does {s} ask guests to wear?",
            "What clothing rule holds for visits to {s}?",
            "Do I need anything special to wear inside the {s} plant?",
            "What is mandatory for guests on the {s} site?",
            "Which gear do visitors of {s} need?",
            "Guests at {s} have to wear what?",
        ),
        (
            "Visitors must wear {v}.",
            "{s} asks every guest to wear {v}.",
            "In the plant, {v} must be worn.",
            "Nobody enters the hall without {v}.",
        ),
    ),
)

GUESTS = {
    "Training courses": COURSES,
    "Cloud subscription": SUBSCRIPTION,
    "Visits": VISITS,
}
