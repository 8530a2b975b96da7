"""What is said and asked of procedures: tool, time, rhythm, person, and the ordered steps.

The subject ``{s}`` is the procedure's phrase ("replace the battery"). Steps are imperatives in lower case, so that
an article and an answer hold the same characters. Every slot has several variants: another company works otherwise.
"""

from data.generator.attribute import Attribute

ORDINALS = ("first", "second", "third", "fourth", "fifth")

HAND_TOOLS = (
    "a hex key",
    "a soft cloth",
    "a torque wrench",
    "a flat screwdriver",
    "a pair of pliers",
    "a rubber mallet",
    "a brass brush",
    "a spirit level",
    "a feeler gauge",
    "a strap wrench",
    "a heat gun",
    "a vacuum pump",
)
DESK_TOOLS = (
    "a laptop",
    "a phone",
    "a USB stick",
    "a tablet",
    "a service key",
    "a memory card",
    "a QR code",
    "a serial adapter",
    "a printed form",
    "a barcode reader",
)

TIME = Attribute(
    "time",
    "Time needed",
    (
        "2 minutes",
        "3 minutes",
        "5 minutes",
        "7 minutes",
        "10 minutes",
        "12 minutes",
        "14 minutes",
        "20 minutes",
        "24 minutes",
        "30 minutes",
        "45 minutes",
        "60 minutes",
    ),
    (
        "How long does it take to {s}?",
        "How many minutes do I need to {s}?",
        "What time should I plan to {s}?",
        "I have to {s}. How long will that take me?",
        "Can I {s} before lunch, or how much time is needed?",
        "How much time must a technician set aside to {s}?",
        "Is it quick to {s}? How many minutes?",
        "Give me the time needed to {s}.",
        "In how many minutes can one {s}?",
        "We stop the line to {s}. For how long?",
    ),
    (
        "It takes {v} to {s}.",
        "Plan {v} to {s}.",
        "The time needed to {s} is {v}.",
        "Within {v} you can {s}.",
        "Anyone can {s} in {v}.",
    ),
)
RHYTHM = Attribute(
    "rhythm",
    "How often",
    (
        "every week",
        "every month",
        "every 2 months",
        "every 3 months",
        "every 5 months",
        "every 10 months",
        "once a year",
        "every 2 years",
        "every 3 years",
        "after each season",
        "before each use",
        "after every storm",
    ),
    (
        "How often should I {s}?",
        "At what interval does one {s}?",
        "When is it due to {s} again?",
        "How frequently do I have to {s}?",
        "What is the recommended rhythm to {s}?",
        "Our service plan needs to know how often to {s}.",
        "How regularly must we {s}?",
        "In what rhythm should the team {s}?",
        "What does the schedule say: when to {s}?",
        "I did it today. After what interval should I {s} next?",
    ),
    (
        "You should {s} {v}.",
        "It is due to {s} {v}.",
        "We recommend to {s} {v}.",
        "Please {s} {v}.",
        "Operators must {s} {v}.",
    ),
)
PERSON = Attribute(
    "person",
    "Done by",
    (
        "a trained technician",
        "the plant operator",
        "any user",
        "the site manager",
        "an electrician",
        "the service partner",
        "the safety officer",
        "the shift leader",
        "two people together",
        "the network admin",
    ),
    (
        "Who may {s}?",
        "Who is allowed to {s}?",
        "Who should {s}?",
        "Which person has the right to {s}?",
        "May I {s} myself, or who does it?",
        "Whom do I call to {s}?",
        "Whose job is it to {s}?",
        "By whom is it done when we {s}?",
        "Somebody has to {s}. Who is permitted to?",
        "Who has permission to {s}?",
    ),
    (
        "Only {v} may {s}.",
        "The job to {s} belongs to {v}.",
        "It is up to {v} to {s}.",
        "Leave it to {v} to {s}.",
    ),
)


def tool(values: tuple[str, ...]) -> Attribute:
    """The attribute "tool needed" of a procedure that can call for any of ``values``."""
    return Attribute(
        "tool",
        "Tool needed",
        values,
        (
            "What tool do I need to {s}?",
            "What do I need to {s}?",
            "Which tool is required to {s}?",
            "With what does one {s}?",
            "What should I bring along to {s}?",
            "I am about to {s}. Which tool must be at hand?",
            "Which piece of equipment do you use to {s}?",
            "What belongs in my bag when I go to {s}?",
            "Is any tool necessary to {s}, and which?",
            "What equipment does it take to {s}?",
        ),
        (
            "To {s}, you need {v}.",
            "The tool needed to {s} is {v}.",
            "Have {v} ready to {s}.",
            "Use {v} to {s}.",
        ),
    )


# {n} is "first", "second", ... or "last".
STEP_QUESTIONS = (
    "What is the {n} step to {s}?",
    "I want to {s}. What is the {n} step?",
    "Which step comes {n} when I {s}?",
    "What do I have to do {n} to {s}?",
    "Name the {n} step if you want to {s}.",
    "When you {s}, what is the {n} thing to do?",
    "The manual explains how to {s}. What does its {n} step say?",
    "I am trying to {s} and forgot the {n} step. What is it?",
    "Tell me the {n} action needed to {s}.",
    "To {s}, what must be done {n}?",
    "How to {s}: which action is the {n}?",
)
STEP_STATEMENTS = (
    "The {n} step is: {v}.",
    "As the {n} step, {v}.",
    "Your {n} step: {v}.",
)
# {step} is the step before the one asked for.
AFTER_QUESTIONS = (
    "I want to {s}. What comes after '{step}'?",
    "When I {s}, what follows '{step}'?",
    "To {s}, I did this: {step}. What next?",
    "What is the next step after '{step}' when I {s}?",
    "After '{step}', how do I go on to {s}?",
    "Which step comes right after '{step}' if I {s}?",
    "I {s} and have just finished '{step}'. What is the following step?",
    "Done with '{step}'. How does one continue to {s}?",
    "While you {s}, what do you do once '{step}' is complete?",
)

# phrase -> (tools, slots); a slot holds the variants of one step.
PROCEDURES: dict[str, tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]] = {
    "calibrate the instrument": (
        HAND_TOOLS,
        (
            ("warm it up in the shade", "rest it on a level plate", "leave it running idle", "shield it from the wind"),
            ("hold the mode key", "open the calibration menu", "press both arrow keys", "enter the service code"),
            (
                "apply the reference load",
                "connect the reference source",
                "dip the probe in the standard",
                "fit the test adapter",
            ),
            ("wait for a steady value", "note three readings", "compare it with the chart", "turn the trim screw"),
            ("store the new offset", "seal the trim screw", "sign the calibration card", "print the result"),
        ),
    ),
    "replace the battery": (
        HAND_TOOLS,
        (
            ("switch the instrument off", "save the open readings", "take it off the mast", "put on dry gloves"),
            ("slide the lid open", "undo the four screws", "lift the rubber cap", "press the side latch"),
            ("pull out the old cell", "tip the old cell out", "unplug the battery lead", "push the ejector"),
            ("insert the new cell", "clip in the fresh pack", "plug in the new lead", "match plus and minus"),
            ("set the clock", "watch the green lamp", "close the lid firmly", "write the date inside"),
        ),
    ),
    "update the firmware": (
        DESK_TOOLS,
        (
            ("charge it above half", "stop all logging", "read the release notes", "pair it with the app"),
            ("download the package", "copy the file over", "choose the update tab", "scan the version label"),
            ("start the installer", "confirm with a long press", "type in the unlock word", "tap the blue arrow"),
            ("wait for two beeps", "let it restart twice", "check the version line", "accept the new licence"),
        ),
    ),
    "reset the password": (
        DESK_TOOLS,
        (
            ("open the login page", "hold the reset pin", "call up the user menu", "attach the service cable"),
            ("choose the forgotten link", "enter your staff number", "pick the admin account", "show your badge"),
            ("read the code aloud", "copy the one-time code", "answer the safety question", "wait for the mail"),
            ("type the new password twice", "log out everywhere", "tell the site manager", "store it in the vault"),
        ),
    ),
    "mount the bracket": (
        HAND_TOOLS,
        (
            ("mark the drill holes", "clean the wall", "measure the height", "tape the template on"),
            ("drill two holes", "set the anchors", "scrape off loose paint", "lay the gasket"),
            ("hang the bracket", "press the plate on", "turn in the bolts", "slide in the rail"),
            ("check it with a level", "tug at it twice", "tighten crosswise", "cut the spare thread"),
            ("fit the end caps", "paint the bolt heads", "label the bracket", "photograph the result"),
        ),
    ),
    "clean the sensor head": (
        HAND_TOOLS,
        (
            ("cut the supply", "cover the socket", "unscrew the cage", "let the head dry out"),
            ("rinse it in warm water", "blow off the dust", "brush along the grain", "dab it with alcohol"),
            ("wipe it from the centre", "dry it in still air", "polish the window", "pick out the fibres"),
            ("screw the cage back", "take a blank reading", "look for scratches", "reset the dirt counter"),
        ),
    ),
    "pair the app": (
        DESK_TOOLS,
        (
            ("turn on the radio", "install the app", "stand within arm's reach", "wake the display"),
            ("hold the round key", "tap the plus sign", "shake it gently", "open the device list"),
            ("scan the code below", "choose the blinking name", "type the last four digits", "compare both numbers"),
            ("give it a name", "allow notifications", "save the pairing", "pick a room"),
        ),
    ),
    "zero the reading": (
        HAND_TOOLS,
        (
            ("close both valves", "vent the line", "remove all load", "point it at the sky"),
            ("wait until it settles", "tap the housing", "turn the dial left", "count to twenty"),
            ("press the zero key", "choose null in the menu", "twist the bezel", "bridge the test pins"),
            ("open the valves slowly", "log the old value", "restore the load", "repeat it once"),
        ),
    ),
    "export the readings": (
        DESK_TOOLS,
        (
            ("log in to the portal", "dock the instrument", "freeze the display", "open the history tab"),
            ("choose the time span", "tick the channels", "filter by site", "sort by date"),
            ("pick the table format", "set the decimal sign", "name the file", "add the units"),
            ("press the export key", "send it to yourself", "save it to the stick", "drag it to the desktop"),
        ),
    ),
    "change the seal": (
        HAND_TOOLS,
        (
            ("release the pressure", "drain the chamber", "lock the pump", "hang up the warning sign"),
            ("loosen the collar", "pry out the old ring", "take off the flange", "pull the shaft back"),
            ("grease the new ring", "clean the groove", "check the ring size", "warm the ring by hand"),
            ("seat the ring flat", "roll the ring in", "push until it clicks", "turn the collar back"),
            ("test it with soap water", "watch for drops", "run it for a while", "raise the pressure slowly"),
        ),
    ),
    "prepare the winter break": (
        HAND_TOOLS,
        (
            ("empty all pipes", "bring the probe indoors", "read out the memory", "shut the main tap"),
            ("remove the cells", "coil up the cable", "fill in antifreeze", "wrap the head"),
            ("add a drying bag", "cover it with foil", "plug the openings", "oil the hinges"),
            ("hang it in a dry room", "note the counter", "lock the cabinet", "tell the control room"),
        ),
    ),
    "register a new device": (
        DESK_TOOLS,
        (
            ("find the type plate", "create an account", "unpack the papers", "open the welcome page"),
            ("enter the serial number", "upload the receipt", "choose your country", "name the owner"),
            ("pick the site on the map", "accept the terms", "assign a group", "set the time zone"),
            ("confirm the e-mail", "stick on the label", "print the pass", "invite a colleague"),
        ),
    ),
    "test the alarm": (
        HAND_TOOLS,
        (
            ("warn everybody nearby", "mute the control room", "unlock the test key", "clear old alarms"),
            ("raise the limit slowly", "push the red knob", "blow test gas in", "cover the sensor"),
            ("listen for the horn", "watch the strobe", "time the delay", "count the pulses"),
            ("acknowledge the alarm", "lower the limit again", "enter it in the logbook", "switch the horn back on"),
        ),
    ),
    "replace the fuse": (
        HAND_TOOLS,
        (
            ("pull the mains plug", "open the main breaker", "wait for the lamp to die", "ground the frame"),
            ("turn the fuse cap", "flip out the holder", "open the rear door", "lift the clear cover"),
            ("take out the blown fuse", "check the fuse rating", "wipe the contacts", "measure the holder"),
            ("press the new fuse in", "swap in the spare fuse", "screw the cap back", "bend the clips closer"),
            ("restore the power", "watch the start screen", "order another spare", "sign the fuse list"),
        ),
    ),
    "align the antenna": (
        HAND_TOOLS,
        (
            ("climb to the platform", "loosen the clamp", "look up the bearing", "unfold the arm"),
            ("point it at the gateway", "tilt it upwards", "turn it by a hand's width", "set it upright"),
            ("read the signal bars", "send a test packet", "listen to the tone", "walk once around"),
            ("fix the clamp", "mark the position", "seal the plug", "tie down the cable"),
        ),
    ),
    "back up the settings": (
        DESK_TOOLS,
        (
            ("unlock the settings", "connect the data cable", "leave the live view", "quit all programs"),
            ("open the backup page", "choose the full backup", "insert an empty card", "select every profile"),
            ("set a safe phrase", "press save twice", "wait for the tick", "name it after the site"),
            ("move the copy off site", "test the copy", "eject the card", "write down the size"),
        ),
    ),
    "restore the factory state": (
        DESK_TOOLS,
        (
            ("note the network name", "take a last backup", "sign out of the cloud", "remove it from the group"),
            ("power it down", "press the hidden button", "hold two keys at start", "open the expert menu"),
            ("choose erase all", "type the word yes", "keep it held down", "wait for three flashes"),
            ("choose the language", "pair it afresh", "load the site profile", "run the setup guide"),
        ),
    ),
    "check the cable": (
        HAND_TOOLS,
        (
            ("unplug both ends", "lay the cable straight", "switch to test mode", "trace it to the wall"),
            ("feel for kinks", "look for cracks", "wiggle the plug", "count the cores"),
            ("measure the resistance", "swap it for a spare", "clean the pins", "bend it at the neck"),
            ("plug it in again", "clip it to the tray", "tag it with the date", "report the length"),
        ),
    ),
    "fill the reference tank": (
        HAND_TOOLS,
        (
            ("close the outlet", "rinse the tank", "check the water line", "remove the float"),
            ("pour in clear water", "connect the hose", "open the feed tap", "add the salt bag"),
            ("stop at the red mark", "stir it slowly", "let bubbles rise", "skim the surface"),
            ("put the lid on", "lower the float in", "record the level", "hang up the hose"),
        ),
    ),
    "set the time zone": (
        DESK_TOOLS,
        (
            ("go to the clock page", "turn off automatic time", "unlock the main menu", "ask for the site code"),
            ("scroll to your region", "choose the nearest city", "type the offset", "tick summer time"),
            ("press apply", "sync it with the server", "compare it with your watch", "reload the page"),
            ("restart the logger", "check the last entry", "lock the menu", "inform the night shift"),
        ),
    ),
}
