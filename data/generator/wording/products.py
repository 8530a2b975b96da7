"""What is said and asked of a product: thirteen attributes.

The last three questions of each attribute are kept for the frozen test set.
"""

from data.generator.attribute import Attribute


def _scaled(pattern: str, start: int, stop: int, step: int) -> tuple[str, ...]:
    return tuple(pattern.format(n) for n in range(start, stop + 1, step))


PRICE = Attribute(
    "price", "Price", _scaled("{} euros", 45, 495, 15),
    (
        "How much does the {s} cost?",
        "What is the price of the {s}?",
        "What do you charge for a {s}?",
        "What is the list price of one {s}?",
        "I want to buy a {s}. What will I pay?",
        "Could you quote me a price for the {s}?",
        "What does a single {s} sell for?",
        "Price of the {s}, please?",
        "How many euros is the {s}?",
        "What would one {s} set me back?",
    ),
    (
        "The {s} costs {v}.",
        "The list price of the {s} is {v}.",
        "A single {s} is sold for {v}.",
        "Buyers pay {v} for the {s}.",
        "The price of one {s} is {v}.",
    ),
    "more expensive",
)
WEIGHT = Attribute(
    "weight", "Weight", _scaled("{} g", 110, 960, 50) + _scaled("{} g", 80, 800, 90),
    (
        "How heavy is the {s}?",
        "What does the {s} weigh?",
        "What is the weight of the {s}?",
        "How many grams does the {s} weigh?",
        "Can you give me the mass of the {s}?",
        "If I put a {s} on a scale, what does it read?",
        "I need the shipping mass of the {s}. How much does it weigh?",
        "Weight of the {s}?",
        "What is the mass of one {s}?",
        "How much weight does a {s} add to a mast?",
    ),
    (
        "The {s} weighs {v}.",
        "With a weight of {v}, the {s} is easy to mount.",
        "The mass of the {s} is {v}.",
        "On the scale the {s} comes to {v}.",
    ),
    "heavier",
)
INTERFACE = Attribute(
    "interface", "Interface",
    ("Modbus", "Ethernet", "Bluetooth", "LoRaWAN", "Zigbee", "Wi-Fi", "Profibus", "CAN bus", "USB",
     "RS-485", "HART", "IO-Link"),
    (
        "Which interface does the {s} use?",
        "How does the {s} send its data?",
        "How is the {s} connected to a network?",
        "What data connection does the {s} have?",
        "Which bus or radio does the {s} speak?",
        "What protocol do I need to talk to the {s}?",
        "Our gateway must reach the {s}. Over what connection?",
        "What is the interface of the {s}?",
        "By which link does the {s} report its readings?",
        "What kind of communication port is on the {s}?",
    ),
    (
        "The {s} sends its data over {v}.",
        "Readings of the {s} are reported by {v}.",
        "The interface of the {s} is {v}.",
        "The {s} connects through {v}.",
    ),
)
HOUSING = Attribute(
    "housing", "Housing",
    ("aluminium", "stainless steel", "polycarbonate", "brass", "ceramic", "titanium", "fibreglass", "zinc",
     "rubber", "bronze", "nylon"),
    (
        "What is the housing of the {s} made of?",
        "Which material is the case of the {s}?",
        "What is the {s} built from?",
        "What material encloses the {s}?",
        "Is the body of the {s} metal or plastic, and which one exactly?",
        "Name the housing material of the {s}.",
        "I have to clear the {s} with our material list. What is its enclosure made of?",
        "What sort of shell does the {s} have?",
        "From what is the {s} enclosure manufactured?",
        "The outer case of the {s}: which material?",
    ),
    (
        "The housing of the {s} is made of {v}.",
        "A case of {v} protects the {s}.",
        "The {s} has a body of {v}.",
        "The enclosure of the {s} consists of {v}.",
    ),
)
COLOUR = Attribute(
    "colour", "Colour",
    ("black", "white", "grey", "yellow", "orange", "blue", "green", "red", "silver", "beige", "violet", "turquoise"),
    (
        "What colour is the {s}?",
        "In which colour does the {s} come?",
        "Which colour has the {s} been painted?",
        "Tell me the colour of the {s}.",
        "I am looking for a {s} on the shelf. What colour should I look for?",
        "What is the finish colour of the {s}?",
        "Which paint does the {s} wear?",
        "Colour of the {s}?",
        "What shade is the {s}?",
        "How is the {s} coloured?",
    ),
    (
        "The {s} comes in {v}.",
        "The colour of the {s} is {v}.",
        "The {s} is painted {v}.",
        "You recognise the {s} by its {v} finish.",
    ),
)
PROTECTION = Attribute(
    "protection", "Protection class",
    ("IP20", "IP40", "IP54", "IP55", "IP64", "IP65", "IP66", "IP67", "IP68", "IP69"),
    (
        "What protection class does the {s} have?",
        "How well is the {s} sealed against water?",
        "Which IP rating does the {s} carry?",
        "What is the ingress protection of the {s}?",
        "We hose our machines down. What is the {s} rated for?",
        "How dust and water proof is the {s}?",
        "Give me the sealing class of the {s}.",
        "IP class of the {s}?",
        "Against dust and water, what rating did the {s} get?",
        "Can the {s} stand rain, and by which IP code?",
    ),
    (
        "The {s} is sealed to {v}.",
        "The protection class of the {s} is {v}.",
        "Against dust and water the {s} is rated {v}.",
        "The {s} carries the rating {v}.",
    ),
)
BATTERY = Attribute(
    "battery", "Battery life", tuple(f"{n} months" for n in (4, 6, 8, 9, 10, 12, 15, 18, 20, 24, 30, 36, 40, 48, 60)),
    (
        "How long does the battery of the {s} last?",
        "What is the battery life of the {s}?",
        "For how many months does the {s} run on one battery?",
        "When will a fresh battery in the {s} be empty?",
        "How many months of use do I get from one battery in the {s}?",
        "What endurance does the battery in the {s} have?",
        "After what time must I plan a new cell for the {s}?",
        "Battery life of the {s}?",
        "How many months pass before the {s} runs out of charge?",
        "How long can the {s} go without a new battery?",
    ),
    (
        "The battery of the {s} lasts {v}.",
        "One battery runs the {s} for {v}.",
        "The battery life of the {s} is {v}.",
        "A fresh cell keeps the {s} running for {v}.",
    ),
)
VOLTAGE = Attribute(
    "voltage", "Supply voltage", tuple(f"{n} V" for n in (3, 5, 6, 7, 9, 12, 15, 18, 24, 36, 48, 60)),
    (
        "Which supply voltage does the {s} need?",
        "How many volts does the {s} run on?",
        "What voltage do I have to feed the {s}?",
        "What is the supply voltage of the {s}?",
        "Which power supply fits the {s}, in volts?",
        "At what voltage does the {s} operate?",
        "I am wiring a {s} to the cabinet. How many volts?",
        "Voltage of the {s}?",
        "What input voltage is right for the {s}?",
        "With how many volts must the {s} be powered?",
    ),
    (
        "The {s} runs on {v}.",
        "The supply voltage of the {s} is {v}.",
        "Feed the {s} with {v}.",
        "The {s} needs a supply of {v}.",
    ),
)
ACCURACY = Attribute(
    "accuracy", "Accuracy", tuple(f"{n} percent" for n in (1, 2, 3, 4, 5, 6, 7, 8)) +
    tuple(f"half a {n}" for n in ("percent", "degree", "bar", "millimetre")),
    (
        "How accurate is the {s}?",
        "What is the accuracy of the {s}?",
        "How large is the measuring error of the {s}?",
        "By how much may a reading of the {s} be off?",
        "What tolerance do the readings of the {s} have?",
        "How precise are values from the {s}?",
        "Our auditor asks for the error limit of the {s}. What is it?",
        "Accuracy of the {s}?",
        "What deviation should I expect from the {s}?",
        "Within what margin does the {s} measure?",
    ),
    (
        "The {s} measures to within {v}.",
        "The accuracy of the {s} is {v}.",
        "Readings of the {s} deviate by {v} at most.",
        "The error limit of the {s} is {v}.",
    ),
)
FIRMWARE = Attribute(
    "firmware", "Firmware", tuple(f"R{n}" for n in range(11, 40)),
    (
        "Which firmware does the {s} ship with?",
        "What is the current firmware of the {s}?",
        "Which software release runs on the {s}?",
        "What firmware version should be on the {s}?",
        "Which release do I find on a new {s}?",
        "What is the latest firmware release for the {s}?",
        "I want to update my {s}. Which firmware is current?",
        "Firmware of the {s}?",
        "Which software version is installed on the {s}?",
        "What release number does the {s} show at start?",
    ),
    (
        "The {s} ships with firmware {v}.",
        "The current firmware of the {s} is {v}.",
        "New units of the {s} run release {v}.",
        "Software release {v} is installed on the {s}.",
    ),
)
WARRANTY = Attribute(
    "warranty", "Warranty", tuple(f"{n} years" for n in (2, 3, 4, 5, 6, 7, 8, 10, 12, 15)),
    (
        "How long is the warranty on the {s}?",
        "What warranty does the {s} have?",
        "For how many years do you guarantee the {s}?",
        "How many years is the {s} under warranty?",
        "Until when after purchase is a {s} repaired for free?",
        "What guarantee period applies to the {s}?",
        "My {s} broke. For how long was it covered?",
        "Warranty of the {s}?",
        "How many years of cover come with the {s}?",
        "For what period is the {s} guaranteed?",
    ),
    (
        "The warranty on the {s} is {v}.",
        "The {s} is guaranteed for {v}.",
        "Defects of the {s} are covered for {v}.",
        "Buyers of the {s} get a guarantee of {v}.",
    ),
)
COUNTRY = Attribute(
    "country", "Made in",
    ("Norway", "Portugal", "Poland", "Austria", "Japan", "Canada", "Ireland", "Finland", "Chile", "Denmark",
     "Slovenia", "Vietnam", "Estonia", "Greece"),
    (
        "Where is the {s} made?",
        "In which country is the {s} built?",
        "What is the country of origin of the {s}?",
        "Which country does the {s} come from?",
        "Customs asks where the {s} was produced. What do I write?",
        "In what country do you assemble the {s}?",
        "Where does production of the {s} take place?",
        "Origin of the {s}?",
        "From which country is the {s} shipped out of the factory?",
        "What country should be printed on the label of the {s}?",
    ),
    (
        "The {s} is made in {v}.",
        "The factory in {v} builds the {s}.",
        "The {s} is assembled in {v}.",
        "The country of origin of the {s} is {v}.",
    ),
)
INTERVAL = Attribute(
    "interval", "Sampling interval",
    tuple(f"every {n} seconds" for n in (2, 5, 10, 15, 20, 30, 40, 45, 50, 60)) +
    tuple(f"every {n} minutes" for n in (2, 3, 5, 10, 15, 20, 30)),
    (
        "How often does the {s} take a reading?",
        "What is the sampling interval of the {s}?",
        "How frequently does the {s} measure?",
        "At which interval does the {s} sample?",
        "How much time lies between two readings of the {s}?",
        "What is the measuring rate of the {s}?",
        "When can I expect the next value from the {s}?",
        "Sampling interval of the {s}?",
        "How regularly does the {s} record a value?",
        "What pause does the {s} make between measurements?",
    ),
    (
        "The {s} takes a reading {v}.",
        "The {s} measures {v}.",
        "A new value arrives from the {s} {v}.",
        "The {s} is set to sample {v}.",
    ),
)

PRODUCT_ATTRIBUTES = (PRICE, WEIGHT, INTERFACE, HOUSING, COLOUR, PROTECTION, BATTERY, VOLTAGE, ACCURACY, FIRMWARE,
                      WARRANTY, COUNTRY, INTERVAL)
