"""Wordings of the policies around stored data, accounts and firmware."""

from data.generator.attribute import Attribute

DATA = (
    Attribute(
        "data_retention", "Readings stored for",
        ("30 days", "45 days", "60 days", "90 days", "12 months", "24 months", "36 months"),
        (
            "How long does {s} store my readings in the cloud?",
            "When are readings deleted from the {s} cloud?",
            "For how long are measured data kept by {s}?",
            "What is the retention time for readings at {s}?",
            "How old can readings be before {s} removes them?",
            "Until when can I download old readings from {s}?",
            "Data retention at {s}: how long?",
            "After what time does {s} erase stored readings?",
            "How far back do the readings saved at {s} go?",
        ),
        (
            "Readings are stored for {v}.",
            "{s} keeps measured data in the cloud for {v}.",
            "After {v} all readings are deleted.",
            "The retention time for readings is {v}.",
        ),
    ),
    Attribute(
        "data_location", "Data centre",
        ("in Iceland", "in Portugal", "in Finland", "in Austria", "in Ireland", "in Estonia", "in Belgium"),
        (
            "Where does {s} store customer data?",
            "In which country is the data centre of {s}?",
            "Where are the servers of {s}?",
            "In what country are my data kept by {s}?",
            "Where do my readings end up with {s}?",
            "Which country hosts the cloud of {s}?",
            "Our privacy officer wants to know where {s} keeps data.",
            "Location of the {s} servers?",
            "In what place does {s} run its data centre?",
        ),
        (
            "The data centre is {v}.",
            "{s} stores customer data {v}.",
            "All servers stand {v}.",
            "Customer data never leave our servers {v}.",
        ),
    ),
    Attribute(
        "data_contact", "Deletion requests go to",
        ("the privacy officer", "the legal team", "the data desk", "the cloud team", "the company secretary"),
        (
            "Who at {s} deletes my personal data?",
            "To whom at {s} do I send a deletion request?",
            "Who is the contact for privacy questions at {s}?",
            "Whom should I ask at {s} to erase my data?",
            "Which person or team handles data deletion at {s}?",
            "I want my personal data removed by {s}. Who does that?",
            "Who deals with privacy requests at {s}?",
            "My data should be erased. Which contact does {s} name?",
            "Privacy request to {s}: who is in charge?",
        ),
        (
            "Deletion requests go to {v}.",
            "At {s}, {v} handles privacy requests.",
            "To have personal data erased, write to {v}.",
            "The contact for privacy questions is {v}.",
        ),
    ),
)

PASSWORDS = (
    Attribute(
        "password_length", "Password length",
        ("10 characters", "12 characters", "14 characters", "20 characters", "21 characters", "24 characters"),
        (
            "How long must a password be for a {s} account?",
            "What is the minimum password length at {s}?",
            "How many characters does {s} require in a password?",
            "My new password is too short for {s}. What is the minimum?",
            "Which length does {s} ask of passwords?",
            "With how many characters does {s} accept a password?",
            "Shortest password allowed by {s}?",
            "What number of characters must my {s} password have?",
            "A password for the {s} portal needs to be how long?",
        ),
        (
            "A password needs at least {v}.",
            "{s} requires passwords of {v} or more.",
            "The minimum password length is {v}.",
            "Choose a password with {v} or more.",
        ),
    ),
    Attribute(
        "password_change", "Password change",
        ("every 30 days", "every 45 days", "every 60 days", "every 90 days", "every 12 months", "only after a breach"),
        (
            "How often must I change my {s} password?",
            "When does a password at {s} have to be changed?",
            "What is the rule for changing passwords at {s}?",
            "How frequently does {s} ask for a new password?",
            "At what interval do passwords change at {s}?",
            "Does my {s} password expire, and when?",
            "In what rhythm does {s} demand new passwords?",
            "How regularly should a {s} account get a new password?",
            "Password change at {s}: when is it due?",
        ),
        (
            "Passwords must be changed {v}.",
            "{s} asks for a new password {v}.",
            "A password change is due {v}.",
            "Users choose a new password {v}.",
        ),
    ),
    Attribute(
        "lockout_attempts", "Lockout after", ("3 attempts", "5 attempts", "7 attempts", "10 attempts", "12 attempts"),
        (
            "After how many wrong passwords does {s} lock an account?",
            "How many login attempts does {s} allow?",
            "When does {s} lock me out of my account?",
            "How often may I mistype my password at {s}?",
            "What is the lockout limit for logins at {s}?",
            "My account is locked. How many failed attempts does {s} permit?",
            "How many failed logins until {s} blocks the account?",
            "How many tries do I get to sign in at {s}?",
            "An account at {s} gets locked after what?",
        ),
        (
            "An account is locked after {v}.",
            "{s} allows {v} before the account is locked.",
            "Logins are blocked after {v} with a wrong password.",
            "The lockout limit is {v}.",
        ),
    ),
)

FIRMWARE = (
    Attribute(
        "release_rhythm", "Firmware releases",
        ("every 2 weeks", "every 3 weeks", "every 5 weeks", "every 7 weeks", "every 10 weeks", "every 12 weeks",
         "every 20 weeks"),
        (
            "How often does {s} release new firmware?",
            "At what interval does {s} publish firmware?",
            "What is the release rhythm for firmware at {s}?",
            "When can I expect the next firmware releases from {s}?",
            "How frequently do firmware releases come from {s}?",
            "In what rhythm does {s} bring out firmware?",
            "How many weeks lie between firmware releases of {s}?",
            "How regularly does {s} ship firmware releases?",
            "Firmware schedule of {s}?",
        ),
        (
            "New firmware is released {v}.",
            "{s} publishes firmware {v}.",
            "A firmware release appears {v}.",
            "Expect new firmware {v}.",
        ),
    ),
    Attribute(
        "firmware_support", "Firmware support", ("2 years", "3 years", "5 years", "7 years", "10 years", "12 years"),
        (
            "For how many years does {s} support firmware?",
            "How long do {s} instruments get security fixes?",
            "How many years of firmware fixes does {s} promise?",
            "When does firmware support by {s} end?",
            "What is the support period for firmware at {s}?",
            "Until when will {s} fix the firmware of my device?",
            "How long after purchase does {s} provide security fixes?",
            "For how long will a {s} device receive fixes?",
            "Length of firmware support at {s}?",
        ),
        (
            "Firmware is supported for {v}.",
            "{s} provides security fixes for {v} after purchase.",
            "Each device gets firmware fixes for {v}.",
            "Firmware support ends after {v}.",
        ),
    ),
    Attribute(
        "release_notice", "Release notes appear",
        ("in the newsletter", "on the status page", "in the mobile app", "on the notice board", "in the dealer area",
         "in the user forum"),
        (
            "Where does {s} publish its release notes?",
            "Where can I read what changed in {s} firmware?",
            "Where are firmware changes announced by {s}?",
            "In which place do release notes of {s} appear?",
            "How do I learn about new firmware from {s}?",
            "Where do I find the release notes of {s}?",
            "What is the place for firmware news at {s}?",
            "Where should I look for the change list of {s} firmware?",
            "Release notes from {s}: where?",
        ),
        (
            "Release notes appear {v}.",
            "{s} announces firmware changes {v}.",
            "What changed can be read {v}.",
            "We publish the change list {v}.",
        ),
    ),
)

ACCOUNT = {
    "Data protection": DATA,
    "Accounts and passwords": PASSWORDS,
    "Firmware policy": FIRMWARE,
}
